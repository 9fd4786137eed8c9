"""What `customer_operations.resolve` needs, on real servers: a project, the sample system, models, and faults."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.gateway.service import Gateway
from pipelines._kit.graph import GraphRunner
from pipelines._kit.tools.client import McpClient, OfferedTool, ToolError
from pipelines._kit.tools.factory import Tools
from pipelines._kit.tools.policies import ToolServer
from pipelines.customer_operations.graph import make_runner
from pipelines.customer_operations.schemas import ResolveInput, ResolveOutput
from tests.factories.knowledge import Library
from tests.factories.questions import QuestionContext
from tests.factories.sample_system import Attached, tool_servers_file


class Killed(BaseException):
    """The worker is gone in this moment."""


@dataclass
class FaultyClient:
    """The real client over a line that fails where a test wants: before a call leaves, or after it was answered.

    `before` and `after` get the tool's name and raise, or do not.
    """

    client: McpClient = field(default_factory=McpClient)
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    called: list[str] = field(default_factory=list)

    def call(
        self, server: ToolServer, tool: str, arguments: Mapping[str, Any], *, check: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        """Call for real, between the two faults."""
        self.called.append(tool)
        self.before(tool)
        answer = self.client.call(server, tool, arguments, check=check)
        self.after(tool)
        return answer

    def offered(self, server: ToolServer, *, check: Callable[[], None] | None = None) -> Mapping[str, OfferedTool]:
        """What the server lists."""
        return self.client.offered(server, check=check)

    def close(self) -> None:
        """Close the real one."""
        self.client.close()


def lost(tool: str) -> Callable[[str], None]:
    """The line breaks whenever `tool` is called."""

    def fail(called: str) -> None:
        if called == tool:
            raise ToolError("the line broke", code="tool_unavailable")

    return fail


def killed_once(tool: str) -> Callable[[str], None]:
    """The worker is killed when `tool` is called for the first time."""
    left = [tool]

    def fail(called: str) -> None:
        if called in left:
            left.remove(called)
            raise Killed

    return fail


@dataclass
class Desk:
    """A project of a company that attached the sample system."""

    library: Library
    attached: Attached

    def context(self) -> QuestionContext:
        """A fresh job of the project."""
        return QuestionContext(
            capability="customer_operations.resolve",
            organization_id=self.library.principal.organization_id,
            project_id=self.library.principal.project_id,
            database=self.library.database,
        )

    @contextmanager
    def runner(
        self, *, client: FaultyClient | None = None, gateway: Gateway | None = None, **replacing: str
    ) -> Iterator[GraphRunner[ResolveInput, ResolveOutput]]:
        """A worker's runner; `replacing` are pieces of the file of tool servers, spelled ``old="new"``."""
        settings = self.attached.settings
        if replacing:
            path = tool_servers_file(settings.home, self.attached.system.url, replacing=replacing)
            settings = settings.model_copy(update={"tool_servers_file": path})
        tools = Tools(settings, client or McpClient())
        try:
            yield make_runner(gateway or self.library.gateway, self.library.knowledge, tools)
        finally:
            tools.client.close()

    def resolve(self, payload: ResolveInput, **given: Any) -> ResolveOutput:
        """Run a job that needs one attempt."""
        ctx = given.pop("ctx", None) or self.context()
        with self.runner(**given) as runner:
            return runner.run(ctx, payload)

    def refunds(self, order: str) -> list[str]:
        """The amounts that were refunded on an order and not taken back."""
        rows = self.attached.rows(
            "SELECT amount FROM refunds WHERE order_id = %s AND state <> 'voided' ORDER BY amount", order
        )
        return [str(row["amount"]) for row in rows]

    def audited(self, ctx: QuestionContext) -> list[dict[str, Any]]:
        """The tool calls of the job in the audit trail, in order."""
        from sqlalchemy import text

        from core.kit.ids import JOB, encode

        with self.library.database.system() as session:
            found = session.execute(
                text(
                    "SELECT detail FROM audit_inbox WHERE action = 'worker:tool:call' AND subject_id = :job ORDER BY id"
                ),
                {"job": encode(JOB, ctx.job_id)},
            )
            return [dict(row.detail) for row in found]


def letter(message: str, sender: str | None = "mila.janssen@example.org", **rest: Any) -> ResolveInput:
    """What a verified customer writes, to be carried out and answered."""
    customer = {"email": sender, "verified": rest.pop("verified", True)} if sender else None
    return ResolveInput.model_validate({"message": message, "customer": customer, "delivery": "send", **rest})
