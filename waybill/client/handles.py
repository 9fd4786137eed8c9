"""What a handle of a job shows of the job, whether it works with `await` or without."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from waybill.client.errors import JobFailed
from waybill.client.models import JobError, JobRecord, Question

_SUCCEEDED = "succeeded"


class JobHandle:
    """A job. Its members are what the API said last, which is `record`: a value that is replaced as a whole."""

    def __init__(self, record: JobRecord) -> None:
        self.record = record

    @property
    def id(self) -> str:
        """The job's id."""
        return self.record.id

    @property
    def project_id(self) -> str:
        """The project that it belongs to."""
        return self.record.project_id

    @property
    def capability(self) -> str:
        """What was asked for."""
        return self.record.capability

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``waiting``, or one of the five that end it."""
        return self.record.state

    @property
    def reason(self) -> str | None:
        """A stable code that says why it is in its state."""
        return self.record.reason

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.record.is_terminal

    @property
    def is_whole(self) -> bool:
        """Whether all fields are loaded. A listing leaves out `result` and `questions`."""
        return "result" in self.record.model_fields_set

    @property
    def result(self) -> dict[str, Any] | None:
        """Its result, once it succeeded; None in a listing (see `is_whole`)."""
        return self.record.result

    @property
    def error(self) -> JobError | None:
        """Why it did not succeed, or what it waits for."""
        return self.record.error

    @property
    def questions(self) -> list[Question]:
        """What it waits for a person to answer."""
        return self.record.questions

    @property
    def priority(self) -> str:
        """``high``, ``normal`` or ``low``."""
        return self.record.priority

    @property
    def metadata(self) -> dict[str, Any]:
        """The labels that it was given."""
        return self.record.metadata

    @property
    def input(self) -> dict[str, Any] | None:
        """Its input, where the API shows it."""
        return self.record.input

    @property
    def attempt(self) -> int:
        """How many attempts were started."""
        return self.record.attempt

    @property
    def max_attempts(self) -> int:
        """How many attempts there are before it is failed."""
        return self.record.max_attempts

    @property
    def created_at(self) -> datetime:
        """When it was accepted."""
        return self.record.created_at

    @property
    def run_at(self) -> datetime | None:
        """The moment before which it does not run."""
        return self.record.run_at

    @property
    def deadline_at(self) -> datetime | None:
        """The moment at which it is given up."""
        return self.record.deadline_at

    @property
    def dispatched_at(self) -> datetime | None:
        """When it left the queue."""
        return self.record.dispatched_at

    @property
    def started_at(self) -> datetime | None:
        """When its last attempt began."""
        return self.record.started_at

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""
        return self.record.finished_at

    @property
    def cancel_requested_at(self) -> datetime | None:
        """When it was asked to stop."""
        return self.record.cancel_requested_at

    @property
    def data_class(self) -> str:
        """How sensitive its data is, by now: ``public``, ``internal``, ``confidential`` or ``restricted``."""
        return self.record.data_class

    @property
    def payload_erased_at(self) -> datetime | None:
        """When retention took its input and its result."""
        return self.record.payload_erased_at

    @property
    def usage(self) -> list[dict[str, Any]]:
        """What each of its model calls consumed."""
        return self.record.usage

    @property
    def cost_usd(self) -> Decimal | None:
        """What it has cost, as far as it is known: None when what it used has no price."""
        return self.record.cost_usd

    @property
    def priced(self) -> bool:
        """Whether everything it used has a price. If not, it cost more than `cost_usd` says."""
        return self.record.priced

    @property
    def children_cost_usd(self) -> Decimal | None:
        """What the jobs below it have cost, as far as it is known: None when what they used has no price."""
        return self.record.children_cost_usd

    @property
    def children_priced(self) -> bool:
        """Whether everything that the jobs below it used has a price."""
        return self.record.children_priced

    @property
    def max_cost_usd(self) -> Decimal | None:
        """What it may cost at most."""
        return self.record.max_cost_usd

    @property
    def parent_id(self) -> str | None:
        """The job that called it."""
        return self.record.parent_id

    @property
    def root_id(self) -> str | None:
        """The job at the top of its tree."""
        return self.record.root_id

    @property
    def disclosure(self) -> dict[str, Any] | None:
        """The mark of a result that a model or agent generated; None for any other."""
        return self.record.disclosure

    @property
    def is_shadow(self) -> bool:
        """Whether an experiment's shadow arm ran it. Its result is discarded."""
        return self.record.is_shadow

    def raise_for_state(self) -> Self:
        """The same job; raises `JobFailed` when it has ended otherwise than well."""
        if not self.is_terminal or self.state == _SUCCEEDED:
            return self
        code = self.error.code if self.error else self.reason or self.state
        raise JobFailed(self.id, self.state, code, self.error.message if self.error else "")

    def as_json(self) -> dict[str, Any]:
        """The job as plain JSON values, as the API sent it."""
        return self.record.as_json()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.capability} {self.state}>"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A page of handles is a page like any other, and is shown as the API sent it.
        as_json = core_schema.plain_serializer_function_ser_schema(cls.as_json)
        return core_schema.is_instance_schema(cls, serialization=as_json)
