"""Instructor, in each of its modes for OpenAI."""

from typing import Any

import instructor
from cases import MESSAGES, MODEL, case
from openai import OpenAI
from pydantic import BaseModel


class Answer(BaseModel):
    """An answer."""

    reasoning: str
    answer: int


def make(mode: str) -> Any:
    return instructor.from_openai(OpenAI(max_retries=0, timeout=60), mode=getattr(instructor.Mode, mode))


for mode in ("TOOLS", "TOOLS_STRICT", "JSON_SCHEMA", "RESPONSES_TOOLS"):

    @case(mode)
    def _(mode: str = mode) -> Any:
        return make(mode).chat.completions.create(model=MODEL, messages=MESSAGES, response_model=Answer, max_retries=1)


@case("create_partial, streamed")
def _() -> Any:
    return list(make("TOOLS").chat.completions.create_partial(model=MODEL, messages=MESSAGES, response_model=Answer))
