"""Input and result of `agent.run`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TEXT_MAX_CHARACTERS = 50_000
OperationName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Said(_Strict):
    """An earlier message of the conversation."""

    author: Literal["user", "agent"]
    text: str = Field(min_length=1, max_length=TEXT_MAX_CHARACTERS)


class RunInput(_Strict):
    """The user's request, and what the agent may do."""

    message: str = Field(min_length=1, max_length=TEXT_MAX_CHARACTERS, description="The user's latest message.")
    thread: list[Said] = Field(default_factory=list, max_length=50, description="Earlier messages, oldest first.")
    instructions: str = Field(
        "", max_length=TEXT_MAX_CHARACTERS, description="Your rules for the agent, for example your policy."
    )
    operations: list[OperationName] | None = Field(
        None, max_length=100, description="The tools that the agent may use. Null means all tools of the project."
    )
    delivery: Literal["draft", "act"] = Field(
        "draft", description="`draft` reads and proposes. `act` carries out what the user asks for."
    )
    converse: bool = Field(
        False,
        description=(
            "Wait for the user's next message after each reply. The job then asks the question `turn-…`. The"
            " answer is `{message}`, or `{message: null}` to end the conversation."
        ),
    )
    max_steps: int = Field(30, ge=1, le=100, description="Maximum number of model calls in the whole job.")
    approval_timeout_seconds: int = Field(
        86_400, ge=1, le=30 * 86_400, description="How long a person has to approve, and the user to reply."
    )


class Action(_Strict):
    """A call of a tool with an effect, and its outcome."""

    operation: str
    tool: str
    server: str
    effect: Literal["write", "money"]
    status: Literal["done", "refused", "unknown", "compensated", "proposed"]
    amount: str | None = None
    currency: str | None = None
    approved_by: str | None = None
    requested_with: str | None = Field(None, description="The user's words that ask for it.")
    code: str | None = None
    result: dict[str, Any] = Field(default_factory=dict)


class RunOutput(_Strict):
    """What was said and done."""

    reply: str = Field(description="The last reply.")
    conversation: list[Said]
    actions: list[Action]
    steps: int = Field(description="Number of model calls.")
    stopped: Literal["replied", "ended", "silent", "max_steps"] = Field(
        description=(
            "`ended`: the user ended the conversation. `silent`: the user did not reply. `max_steps`: the limit"
            " was reached."
        )
    )
    model: str
    prompts: dict[str, str]


class NextMessage(_Strict):
    """A user's answer to a reply."""

    message: str | None = Field(max_length=TEXT_MAX_CHARACTERS, description="Null ends the conversation.")


EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "message": "Please refund the late express parcel VH-300001. My address is mila.janssen@example.org.",
        "instructions": "Refund late express parcels in full, and nothing else.",
        "delivery": "act",
    },
)
