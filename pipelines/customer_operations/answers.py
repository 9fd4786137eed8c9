"""Checks the answers of a company's system against the published schema of the operation."""

from pipelines._kit.tools.answers import AnswerReaders
from pipelines.customer_operations.operations import OPERATIONS

READERS: AnswerReaders = {each.name: each.answer.model_validate for each in OPERATIONS.values()}
