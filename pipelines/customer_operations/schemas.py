"""Input and result of `customer_operations.resolve`."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.capability import Needs

MESSAGE_MAX_CHARACTERS = 20_000
THREAD_MAX = 20
_KNOWLEDGE_BASE = r"^kb_[0-7][0-9a-hjkmnp-tv-z]{25}$"

# The caller that marks a customer as verified is responsible for it.
VERIFY = "customers:verify"

Money = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=9)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ThreadMessage(_Strict):
    """An earlier message of the conversation."""

    author: Literal["customer", "company"]
    text: str = Field(min_length=1, max_length=MESSAGE_MAX_CHARACTERS)


class CustomerReference(_Strict):
    """The sender as identified by the channel. Statements in the message itself prove nothing."""

    email: str | None = Field(None, min_length=3, max_length=320)
    customer_id: str | None = Field(None, min_length=1, max_length=100)
    verified: Annotated[Literal[True], Needs(VERIFY)] | Literal[False] = Field(
        False,
        description=(
            "Whether the channel verified the identity, by a login or a code. Without it nothing is changed"
            " or paid. Setting it needs the scope `customers:verify`."
        ),
    )


class ResolveInput(_Strict):
    """A customer's message, and what may be done about it."""

    message: str = Field(min_length=1, max_length=MESSAGE_MAX_CHARACTERS, description="The customer's latest message.")
    thread: list[ThreadMessage] = Field(
        default_factory=list, max_length=THREAD_MAX, description="Earlier messages, oldest first."
    )
    customer: CustomerReference | None = Field(None, description="The sender. Null when the channel does not know.")
    order: str | None = Field(
        None, min_length=1, max_length=100, description="An order or tracking number, if the channel knows it."
    )
    knowledge_base: str | None = Field(
        None, pattern=_KNOWLEDGE_BASE, description="The knowledge base with the policies to quote. Null quotes none."
    )
    delivery: Literal["draft", "send"] = Field(
        "draft",
        description=(
            "`draft` changes nothing in any system: it proposes the actions and returns the reply. `send`"
            " carries out the actions and sends the reply, unless a person has to review it first."
        ),
    )
    approval_above: Money | None = Field(
        None,
        description="Ask a person to approve from this amount. It can only be stricter than the operator's setting.",
    )
    approval_timeout_seconds: int = Field(
        86_400, ge=1, le=30 * 86_400, description="How long a person has to approve. After that, no money is moved."
    )


class Intent(_Strict):
    """What the message asks for."""

    name: str
    confidence: float = Field(ge=0, le=1, description="The classifier's calibrated probability.")
    source: Literal["classifier", "model"] = Field(description="What made the final decision on `name`.")
    alternatives: dict[str, float] = Field(description="The next most probable intents.")


class Action(_Strict):
    """A call of a tool with an effect, and its outcome."""

    operation: str
    tool: str
    server: str
    effect: Literal["write", "money"]
    status: Literal["done", "refused", "unknown", "compensated", "proposed"] = Field(
        description=(
            "`unknown`: no answer arrived, so the call may have had its effect. `compensated`: done, then"
            " undone. `proposed`: part of a draft, not done."
        )
    )
    amount: str | None = None
    currency: str | None = None
    approved_by: str | None = None
    result: dict[str, Any] = Field(default_factory=dict)
    code: str | None = Field(None, description="The system's reason for refusing it.")


class Request(_Strict):
    """Whether the message asks for what the policy tables would do."""

    action: Literal["cancel", "refund", "address", "report"]
    asked: bool = Field(description="Nothing is done without a request in the customer's own words.")
    words: str | None = Field(description="The sentence that asks for it, as the customer wrote it.")
    confidence: float = Field(ge=0, le=1, description="The probability that the message asks for it.")
    against: str | None = Field(
        description=(
            "Why it does not count as a request: `no_request`, `negation`, `question`, `condition`,"
            " `hypothetical`, `future`, `past`, `third_party`, `withdrawal`, `sarcasm`, `injection` or"
            " `unsure`."
        )
    )


class PolicyQuote(_Strict):
    """A sentence of a policy, word for word."""

    quote: str
    document: str
    document_id: str
    page: int | None
    section: str | None
    start: int = Field(ge=0, description="Its position in the document's text, in characters.")
    end: int = Field(ge=0)


class NeedsHuman(_Strict):
    """Why a person has to take over."""

    code: str
    message: str


class WishResult(_Strict):
    """What was understood, decided and done about one of the message's requests."""

    intent: Intent
    words: str | None = Field(
        description="The customer's sentence that this is about, when the message asks for several things."
    )
    order: str | None
    decision: str = Field(description="The stable code of the policy tables' decision.")
    request: Request | None = Field(description="The request that the actions are based on. Null when there were none.")
    actions: list[Action]
    needs_human: NeedsHuman | None


class ResolveOutput(_Strict):
    """What was understood, decided, done and written.

    `intent`, `order`, `decision` and `request` belong to the first wish; `actions` and `policy` to all.
    """

    wishes: list[WishResult] = Field(min_length=1, description="Everything that the message asks for, in its order.")
    intent: Intent
    customer_id: str | None
    order: str | None
    decision: str = Field(description="The stable code of the policy tables' decision.")
    request: Request | None = Field(description="The request that the actions are based on. Null when there were none.")
    actions: list[Action]
    reply: str
    reply_source: Literal["template", "model"]
    sent: bool
    policy: list[PolicyQuote]
    needs_human: NeedsHuman | None
    model: str | None = Field(description="The model that worded the reply. Null when none did.")
    prompts: dict[str, str] = Field(description="Digests of the prompts that were used, by name.")


EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "message": "Hi, my express parcel VH-300001 came a day later than promised. I would like my money back.",
        "customer": {"email": "mila.janssen@example.org", "verified": True},
        "delivery": "send",
    },
    {
        "message": "Where is my parcel? The tracking has not moved since yesterday.",
        "customer": {"email": "jonas.weber@example.org", "verified": False},
        "order": "VH-300007",
    },
)
