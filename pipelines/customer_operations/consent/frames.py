"""Ways of saying the same thing, brought to the one that `forms` knows, so that both sides of `grammar` read it alike.

A request is a frame ("could someone please", "I would be grateful for") around a deed ("call off", "proceed with the
cancellation of") and a thing. Each of the three varies by itself, so each is rewritten by itself. What speaks against
a request is looked for afterwards: rewriting makes no request of a refusal.
"""

# ruff: noqa: E501 - an alternative a line would hide what belongs together
import re
from collections.abc import Sequence

_GOODS = r"(?:order|shipment|booking|label|parcel|package|packet|consignment|delivery)"
THING = rf"(?:(?:the|my|our|this|that|your) )?(?:(?:whole|entire) )?(?:{_GOODS}(?: (?:number|nr|no))?(?: xorder)?|xorder|it)\b"

# What can follow "withdraw" and the like: an order and nothing that was said or asked about it, and no "it".
_OF_IT = r"(?! (?:from )?(?:the |my |our )?(?:refund|claim|complaint|ticket|request|case|dispute|investigation|mail|message|reimbursement|charge|surcharge)\b)"
_ORDER = rf"(?:(?:the|my|our|this|that) )?(?:(?:whole|entire) )?(?:(?:order|shipment|booking)(?: (?:number|nr|no))?(?: xorder)?|xorder)\b{_OF_IT}"

# Verbs that end an order when the order is what follows, in the form of "please", after "with", and after "be".
_ENDING = {
    "": r"(?:kill|bin|axe|ditch|nix|trash|withdraw|rescind|discard|unbook|deactivate|quash|call off|get rid of|pull the plug on|put an end to|put a stop to|do away with|remove|pull)",
    "ling": r"(?:killing|binning|axing|ditching|withdrawing|rescinding|discarding|deactivating|calling off|getting rid of|annulling|voiding|scrapping|removing|revoking)",
    "led": r"(?:killed|binned|axed|ditched|withdrawn|rescinded|discarded|deactivated|removed|off the books)",
}
# "Take", "strike" and the like end an order only together with where it is taken from.
_OUT = r"(?:take|pull|strike|remove|delete|wipe|withdraw|get|cross)"
_FROM = r"(?:out of|off|from) (?:the|your|our|all) (?:systems?|books?|schedule|planning|records)\b"
_LIGHT = (
    r"(?:make|do|process|arrange(?: for)?|carry out|perform|effect|execute|initiate|proceed with|go ahead with|put through|"
    r"handle|see to|organi[sz]e|start|complete|confirm and process|move forward with|take care of)"
)
_ARTICLE = r"(?:(?:the|a|an|my|our|this|that|of|full|immediate|complete|prompt) )*"
_DONE = {"cancelled": "cancel", "voided": "cancel", "annulled": "cancel", "refunded": "refund", "reimbursed": "refund"}
_DEEDS = (
    (re.compile(rf"\b{_OUT} ({_ORDER}) {_FROM}"), r"cancel \1"),
    (re.compile(rf"\bcall ({THING}) off\b"), r"cancel \1"),
    *((re.compile(rf"\b{verbs} (?={_ORDER})"), f"cancel{ending} ") for ending, verbs in _ENDING.items()),
    (re.compile(rf"({_ORDER}) (must|needs to|has to|should) be {_ENDING['led']}\b"), r"\1 \2 be cancelled"),
    (
        re.compile(rf"\b{_LIGHT} {_ARTICLE}(?:cancel|cancellation|cancelling|annulment|voiding)(?: (?:of|for|on))? (?={THING})"),
        "cancel ",
    ),
    (re.compile(rf"\b{_LIGHT} {_ARTICLE}(?:cancellation|annulment)(?: of)?$"), "cancel it"),
    (re.compile(rf"\b{_LIGHT} {_ARTICLE}(?:cancellation|annulment) (?=now|asap|immediately|please|today|thanks)"), "cancel it "),
    (re.compile(rf"\b(?:{_LIGHT}|issue|grant) {_ARTICLE}refunding (?:of )?"), "refund "),
    (
        re.compile(rf"\b(?:{_LIGHT}|issue|grant|give|pay) (?:(?:to )?(?:me|us) )?{_ARTICLE}(?:refund|reimbursement|repayment)(?: (?:of|for|on))? (?={THING})"),
        "refund ",
    ),
    (re.compile(rf"\b(?:point|steer|route|reroute|re-route|drop) ({THING}) (?:off )?(?:at|to|towards?)\b"), r"send \1 to"),
    (
        re.compile(r"\b(?:switch|swap|amend|modify|alter|edit|adjust|set|replace) (?=(?:the |my |our )?(?:(?:delivery|shipping|drop-off) )?address\b)"),
        "change ",
    ),
    (re.compile(rf"\b(?:let|have) ({THING}) (?:go|come|travel) to\b"), r"send \1 to"),
    (re.compile(rf"\b(?:arrange|organi[sz]e) for ({THING}) to be (?:delivered|sent|redirected|rerouted|brought) to\b"), r"send \1 to"),
)  # fmt: skip
# "Have it cancelled", "arrange for it to be refunded", "make sure it gets cancelled".
_CAUSED = re.compile(
    rf"\b(?:(?:have|get|see) ({THING})|(?:arrange|organi[sz]e) for ({THING}) to be|(?:make sure|ensure|see to it)(?: that)? ({THING}) (?:is|gets))"
    rf" ({'|'.join(_DONE)})\b(?! by\b)"
)
_NOUNS = r"(?:refund|reimbursement|repayment|cancellation|annulment|redirection|compensation)"
_AGENT = r"(?:someone|somebody|anyone|anybody|one of you|your team|your colleagues?|customer service|support|the team|a colleague)"
_FRAMES = (
    (re.compile(r"^(?:(?:ugh|argh|omg|yo|sooo*|oops|whoops|damn|gosh|um+|uh|jeez|yikes|hey+|hi+|hello+) )+"), ""),
    (re.compile(r"\b(?:i|we) (?:do |was |am )?wonder(?:ed|ing)? if (i|we) might (?:please |kindly |possibly )?(?=have\b)"), r"may \1 please "),
    (re.compile(r"\byou (?:guys|all|folks|lot|people|lads|there)\b"), "you"),
    # Whoever it is said to: without a "please", "could somebody cancel it?" may ask what others can do.
    (re.compile(rf"\b(can|could|would|will) {_AGENT}(?: there| at [a-z]+)? (?=please\b|kindly\b)"), r"\1 you "),
    (re.compile(rf"^((?:hi |hey |hello )?){_AGENT} (?=please\b)"), r"\1"),
    (re.compile(r"\b(i|we) should (?=(?:very much |really |dearly )?like\b)"), r"\1 would "),
    (
        re.compile(rf"\b(i|we) (?:would|will) be (?:\w+ )?(?:grateful|obliged|thankful|glad|happy|pleased|indebted) for (?={_ARTICLE}{_NOUNS}\b)"),
        r"\1 would like ",
    ),
    (re.compile(rf"^{_ARTICLE}({_NOUNS}) (.{{0,60}} )?would be (?:\w+ )?appreciated\b"), r"i would like a \1 \2"),
    (re.compile(r"\blet us (?=(?:now |just |please |simply )?cancel\b)"), "please "),
    (
        re.compile(
            r"\bif (?:it|that|this) is (?:no|not (?:a|any)|not too much of a) (?:problem|trouble|bother|inconvenience)\b|"
            r"\bif (?:i|we) may(?: ask)?\b|\bif (?:it|that|this) (?:works|is (?:fine|feasible|doable|all right|convenient))(?: (?:for|by|with) you)?\b"
        ),
        " ",
    ),
)  # fmt: skip
_TAG = re.compile(r"(?:would|could|will|can) you(?: please| kindly)?(?: thanks| thank you)?")
_DECIDED = re.compile(r"\b(i|we) (?:have |had )?(?:now )?decided to\b")
_SO_DO_IT = re.compile(
    r"(?:so |and |therefore )?(?:please|kindly)(?: please| kindly)? (?:do so|(?:arrange|do|handle|process|execute|see to|take care of|deal with|effect|action) "
    r"(?:this|it|that)(?: for (?:me|us))?|go ahead|proceed)(?: (?:now|asap|today|accordingly|immediately|as soon as possible))?"
)


def plain_deed(clause: str) -> str:
    """The clause with the deed and the frame around it in the words that the forms are written in."""
    for pattern, instead in (*_DEEDS, *_FRAMES):
        clause = pattern.sub(instead, clause)
    caused = _CAUSED.sub(lambda found: f"{_DONE[found[4]]} {found[1] or found[2] or found[3]}", clause)
    return " ".join(caused.split())


def without_tag(clauses: Sequence[str]) -> tuple[str, ...] | None:
    """The clauses before a "would you?" that makes a question of an imperative, or None when there is no such tag."""
    if len(clauses) > 1 and _TAG.fullmatch(clauses[-1]):
        return tuple(clauses[:-1])
    return None


def wanted_now(clause: str, following: str) -> str:
    """What was decided, as a wish, when the next sentence `following` says to do it."""
    return _DECIDED.sub(r"\1 want to", clause) if _SO_DO_IT.fullmatch(following) else clause
