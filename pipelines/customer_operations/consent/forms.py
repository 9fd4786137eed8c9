"""The English forms that `grammar` knows: lists, and no logic.

Everything is in the lower case and with the short forms written out, as `own_words` makes it; ``xorder`` stands for the
number of an order.
"""

# ruff: noqa: E501 - an alternative a line would hide what belongs together
import re
from enum import StrEnum


class Action(StrEnum):
    """What a customer can ask for."""

    CANCEL = "cancel"
    REFUND = "refund"
    ADDRESS = "address"
    REPORT = "report"


class Against(StrEnum):
    """Why a message is not taken as a request."""

    NO_REQUEST = "no_request"
    NEGATION = "negation"
    QUESTION = "question"
    CONDITION = "condition"
    HYPOTHETICAL = "hypothetical"
    FUTURE = "future"
    PAST = "past"
    THIRD_PARTY = "third_party"
    WITHDRAWAL = "withdrawal"
    SARCASM = "sarcasm"
    INJECTION = "injection"
    UNSURE = "unsure"


# After these the customer may still want it: what could be done is offered. After the others a person reads the message.
OPEN = frozenset(
    {
        Against.NO_REQUEST, Against.QUESTION, Against.CONDITION, Against.HYPOTHETICAL, Against.FUTURE, Against.UNSURE,
    }
)  # fmt: skip


def _words(text: str) -> str:
    return "(?:" + "|".join(text.split()) + ")"


ADVERBS = (
    r"(?:(?:just|now|immediately|also|therefore|kindly|please|really|then|quickly|still|hereby|to|definitely|at once|"
    r"right away|and|go ahead and|simply|directly|instantly|only|very much|so|be so kind as to|actually) )*"
)
# The forms of each action: verbs that stand after "please" or begin a clause, and nouns or participles after a wish.
VERBS = {
    Action.CANCEL: _words(
        "cancel void annul scrap stop abort terminate revoke undo delete drop nullify take proceed process arrange initiate"
    ),
    Action.REFUND: _words(
        "refund reimburse compensate credit repay pay give return send transfer reverse hand get put issue"
        " arrange process make initiate book"
    ),
    Action.ADDRESS: _words(
        "deliver send redirect reroute bring change correct update forward take ship drop divert fix have get"
    ),
    Action.REPORT: _words("open file register investigate look check find start trace search raise record log"),
}
NAMED = {
    Action.CANCEL: r"(?:cancel(?:l?ed|ling|lation)?|void(?:ed)?|annul(?:l?ed|ment)?|scrap(?:ped)?|called off|undone)",
    Action.REFUND: (
        r"(?:refund(?:ed|ing)?|reimburse(?:d|ment)?|money|compensat(?:e|ed|ion)|repaid|repayment|credit(?:ed)?|"
        r"every cent|fee|costs?|charges?|shipping|postage|payment|paid|what i paid|carriage|one of them|(?:second|double|duplicate) (?:one|amount)|one(?= back)|"
        r"\d+[.,]\d\d)"
    ),
    Action.ADDRESS: (
        r"(?:redirect(?:ed)?|reroute(?:d)?|deliver(?:ed|y)?|address|changed?|sent|send|bring|brought|go|diverted|updated?)"
    ),
    Action.REPORT: r"(?:claim|complain(?:t)?|investigat(?:e|ion|ed)|report|dispute|search|look(?:ed)?|check(?:ed)?|correct(?:ed)?)",
}
# What shows that money is meant to come back, and not merely to be spoken of.
BACK = re.compile(
    r"\b(?:back|refund\w*|reimburs\w*|compensat\w*|repa(?:y|id|yment)|credit(?:ed)?|return(?:ed)?|reverse[ds]?)\b"
)
# A mention of the action, of whatever form.
MENTION = {
    Action.CANCEL: re.compile(r"\b(?:cancel\w*|void(?:ed|ing)?|annul\w*|scrap\w*|call(?:ed|ing)? off)\b"),
    Action.REFUND: re.compile(
        r"\b(?:refund\w*|reimburs\w*|money|compensat\w*|repa(?:y|id|yment)|pay\w*|paid|claim\w*|credit\w*|return\w*|back)\b"
    ),
    Action.ADDRESS: re.compile(
        r"\b(?:deliver\w*|sen[dt]\w*|redirect\w*|rerout\w*|re-rout\w*|bring\w*|brought|address|go(?:es)?|chang\w*|mov\w*)\b"
    ),
    Action.REPORT: re.compile(r"\b(?:ticket|claim\w*|complain\w*|investigat\w*|report\w*|dispute\w*|look into|case)\b"),
}
# The thing that a request is about has to be the customer's order or its money.
OBJECTS = {
    Action.CANCEL: _words(
        "xorder it this order orders shipment shipments label labels booking parcel package consignment delivery"
        " everything them us me one"
    ),
    Action.REFUND: _words(
        "xorder it me us money order fee fees cost costs charge charges payment payments price postage shipping carriage"
        " express amount refund reimbursement parcel label delivery shipment surcharge one debit double duplicate cent"
        " half sum compensation package credit what"
    )[:-1]
    + r"|\d+[.,]\d\d)",
    Action.ADDRESS: _words(
        "xorder it this order parcel package shipment address delivery street number postcode house"
    ),
    Action.REPORT: _words(
        "xorder it this order parcel package shipment claim complaint case into invoice bill search investigation what"
        " report"
    ),
}
# What can follow an order that is to be cancelled. After any other word it is not the order that ends: "the order's updates".
AFTER_ORDER = re.compile(
    _words(
        "xorder order number nr no please kindly now for as because and or since so but immediately asap today thanks thank at it is was has we i you which that who with before again right straight away if when unless once until in on out off altogether completely entirely to of then instead too also already placed booked made ordered sent due the my our me us they he she not would could can will without while after label parcel shipment booking package everything urgently quickly this soon sir madam yes cheers regards kind best first second one all whole there here just what by"
    )
)
FOREIGN = re.compile(
    r"\b(?:transactions?|pin|atm|purchase|item|restaurant|personal|top up|withdrawal|products?|debit card|stolen|subscription|newsletter|account|ticket for|bus|train|flight|transfer|card|top-up|phone|email|mail|request|"
    r"review|appointment|meeting|password|insurance|hotel|copy|invoice|receipt|confirmation|information|info|details|"
    r"link|form|forms|survey|reminder|reminders|proof|photo|photos|name)\b"
)
NOT = re.compile(
    r"\b(?:not|never|no|nor|neither|none|nobody|without|refrain|refuse|decline|avoid|stop|unnecessary|instead of|"
    r"rather than|against|object|hold off|wait|away from|forbid|forbidden|nothing|cease|reject|hardly|unwilling|far from)\b"
)
NOT_AFTER = re.compile(
    r"\b(?:is|are|was|be|will|would|does|do|must|should|may|need)(?: really| absolutely| definitely)? not\b|\bunnecessary\b|"
    r"\bnot (?:needed|necessary|required|wanted|what)\b|\bno longer (?:needed|necessary|required|wanted)\b|\bneither\b"
)
SUBJECT = r"(?:i|we)"
WISH = (
    rf"(?:{SUBJECT} (?:am |are |would |do |have to |must )?{ADVERBS}|would (?=like))?"
    r"(?:(?:writing|contacting(?: you)?|emailing(?: you)?|mailing(?: you)?|reaching out|here|getting in touch)(?: to you)?(?: today)? to"
    r"(?= (?:request|cancel|claim|demand|ask (?:for|you)|get|obtain|void|have)\b)|want|need|demand|expect|request|require|claim|like|ask|insist|wish|asking|requesting|demanding|claiming|"
    r"expecting|insisting|prefer|urge|dispute|file|appreciate|love)"
)
KNOWING = (
    r"(?:know|understand|hear|see|find out|wonder|explanation|say|tell|sure|think|decide|information|info|whether|how|"
    r"why|when|where|explain|mention|thank|talk|speak|discuss|read|learn|clarify|clarification|advice|avoid|thinking|"
    r"might|may|could|will|maybe|perhaps|probably|if|considering|confirm|confirmed|confirmation)"
)
# What may stand before an imperative, or between "could you" and the verb.
ADVERB_WORDS = frozenset(
    [
        "just",
        "now",
        "immediately",
        "also",
        "therefore",
        "kindly",
        "please",
        "really",
        "then",
        "quickly",
        "still",
        "hereby",
        "to",
        "definitely",
        "at",
        "once",
        "right",
        "away",
        "and",
        "go",
        "ahead",
        "simply",
        "directly",
        "instantly",
        "only",
        "very",
        "much",
        "so",
        "actually",
    ]
)
POLITE_WORDS = frozenset({"please", "kindly"})
ASKING_WORDS = frozenset({"can", "could", "would", "will"})
OPENING_WORDS = ADVERB_WORDS | frozenset(
    [
        "hi",
        "hello",
        "hey",
        "there",
        "dear",
        "ok",
        "okay",
        "but",
        "thus",
        "hence",
        "again",
        "good",
        "morning",
        "day",
        "afternoon",
        "evening",
        "team",
        "sir",
        "madam",
        "thanks",
        "thank",
        "you",
        "order",
        "parcel",
        "xorder",
        "nr",
        "number",
        "late",
        "urgent",
        "urgently",
        "asap",
        "yes",
        "sorry",
        "instead",
        "well",
        "finally",
        "first",
        "second",
        "secondly",
        "all",
        "alright",
        "greetings",
        "the",
        "my",
        "our",
        "your",
        "express",
        "standard",
        "shipment",
        "is",
        "was",
        "be",
        "kind",
        "make",
        "sure",
        "here",
        "lost",
        "of",
        "lastly",
        "course",
        "do",
        "me",
        "a",
        "favor",
        "guys",
        "everybody",
        "everyone",
        "concerning",
        "regarding",
        "re",
        "about",
        "for",
        "this",
        "time",
    ]
)
POLITE = (
    (re.compile(r"\b(?:store|shop) credit\b|\bcredit note\b"), "voucher"),
    (re.compile(r"\bi was wondering if you (?:could|can|would)(?: please)?\b"), "please"),
    (
        re.compile(
            r"\b(?:(?:i|we) (?:would|will) )?(?:really |very much |greatly |highly )?(?:appreciate it|be grateful|be thankful|be glad|be happy|be pleased|"
            r"be obliged|be great|be nice|be lovely|be kind) if you (?:could\b|would\b|can\b|(?=(?:cancelled|refunded|voided|redirected|reimbursed|changed|delivered|sent)\b))(?: please)?"
        ),
        "please",
    ),
    (
        re.compile(
            r"\b(?:it|that) would (?:really )?be (?:great|nice|lovely|kind|good|perfect|awesome|very kind|helpful) if you (?:could|would|can)\b"
        ),
        "please",
    ),
    (
        re.compile(
            r"\b(?:can|could|would|will) you (?:please )?be so (?:kind|good|nice) (?:as )?(?:to|and)\b|\bbe so (?:kind|good|nice) (?:as )?(?:to|and)\b|"
            r"\bdo (?:me|us) (?:a|the) favor and\b|\b(?:i|we) (?:hereby |kindly |now |therefore |would |would like to )?"
            r"(?:ask|request|beg|urge|instruct) (?:that )?you (?:to )?\b|\bwould you (?:please )?mind\b|\bgo ahead and\b|\bi am asking you to\b"
        ),
        "please",
    ),
    (
        re.compile(
            r"\bif (?:at all )?possible\b|\bif you (?:do not mind|would not mind|please|would be so kind|would|can|could)$|"
            r"\bas soon as (?:possible|you can)\b|\bwhen(?:ever)? you (?:can|have a moment|get a chance)\b|"
            r"\bif (?:it is|that is|its) not too much (?:trouble|to ask)\b|\bif (?:it is|that is|thats) (?:ok|okay|alright)(?: with you)?\b"
        ),
        " ",
    ),
    (
        re.compile(r"\bplease (cancelling|refunding|voiding|redirecting|delivering|sending|changing|reimbursing)\b"),
        r"please \1",
    ),
)
# "To my office and not to my flat" says where it shall go.
CONTRAST = re.compile(
    r"\b(?:and |but )?(?:not|instead of|rather than|no longer) (?:to|at|from)? ?(?:my|the|our)? ?(?:old |home |other |current |previous |former )*"
    r"(?:address|home|flat|house|place|office|apartment)\b"
)
GERUNDS = {
    "cancelling": "cancel", "refunding": "refund", "voiding": "void", "redirecting": "redirect", "sending": "send",
    "delivering": "deliver", "changing": "change", "reimbursing": "reimburse",
    "cancelled": "cancel", "refunded": "refund", "voided": "void", "redirected": "redirect", "delivered": "deliver",
    "changed": "change", "reimbursed": "reimburse", "sent": "send",
}  # fmt: skip

COURTESY = re.compile(
    r"\b(?:question|questions|need anything|need (?:more|further|any|my)|anything else|not the right|wrong (?:address|person|department)|in doubt)\b"
)
FORM_CUE = re.compile(
    r"(?:[a-z]_[a-z]|[<{\[]/?[a-z_ ]+[>}\]]|#{2,}|\w\((?:\w{1,40}\s?[=,]|['\"])|=\s*(?:true|\d|['\"])|\bsystem\s*:|\bassistant\s*:|\bdeveloper\b.{0,12}:)",
    re.IGNORECASE,
)

# What may stand beside the noun of a short form: anything more would be a sentence with a verb of its own.
SHORT_WORDS = frozenset(
    [
        "please",
        "kindly",
        "hi",
        "hello",
        "hey",
        "ok",
        "so",
        "and",
        "also",
        "again",
        "now",
        "asap",
        "urgent",
        "urgently",
        "immediately",
        "for",
        "of",
        "on",
        "to",
        "a",
        "an",
        "the",
        "my",
        "our",
        "this",
        "that",
        "full",
        "late",
        "delayed",
        "lost",
        "express",
        "standard",
        "delivery",
        "parcel",
        "package",
        "order",
        "shipment",
        "label",
        "booking",
        "xorder",
        "nr",
        "number",
        "no",
        "request",
        "requested",
        "requesting",
        "required",
        "needed",
        "due",
        "because",
        "delivered",
        "day",
        "days",
        "too",
        "very",
        "by",
        "one",
        "two",
        "money",
        "back",
        "all",
        "amount",
        "thanks",
        "1x",
        "sir",
        "madam",
        "yes",
        "payment",
        "duplicate",
        "double",
        "second",
        "charge",
        "fee",
        "fees",
        "carriage",
        "shipping",
        "postage",
        "costs",
    ]
)
CONTENT = re.compile(
    r"\b(?:apologi[sz]ed|(?:i|we) (?:do |must |sincerely )?apologi[sz]e|(?:was|were|is|are) (?:very |really |so |all |both )?(?:kind|friendly|lovely|fine|correct|great|happy|relaxed)|"
    r"no hard feelings|just so you know|for your (?:information|statistics|records)|fyi|(?:only|just) (?:informing|telling|saying|wanted to say|to say)|"
    r"not (?:complaining|a complaint)|no complaint|do not (?:want|need|wish) (?:to )?(?:complain|a complaint|a claim|to claim|an investigation|a ticket)|"
    r"(?:no|without any) (?:need|reason|wish) (?:to|for)|forgiven|forgive)\b"
)
ASKS_FOR_ANSWER = re.compile(
    r"\b(?:\w+ ){0,3}(?:(?:can|could|may|might|should|shall|would|do|did|will|am|are|was|were) (?:i|we|it)|how|what|when|where|which|who|"
    r"whose|why|is|are|does|did|do|has|have)\b"
)

# Forms that ask when there is a "please" in the sentence, and those that need none.
WITH_PLEASE = (
    r"\b(?:can|could|may) (?:i|we) {adverbs}(?:get|have|receive|claim) (?:\w+ ){{0,3}}{named}\b",
    r"\b(?:can|could) (?:xorder|it|this|the \w+|my \w+) (?:please )?be (?:\w+ )?{named}\b",
    r"\bshould be (?:\w+ )?{named}\b",
)
ADDRESS_WITH_PLEASE = (
    r"\b(?:can|could|may) (?:xorder|it|this|(?:the|my|our) \w+(?: xorder)?) (?:please )?(?:go|come|be \w+) (?:\w+ )?to\b",
    r"^(?:please )?(?:new|changed) (?:delivery )?address\b(?! (?:is|was|change|request|form|fee))",
)
_MUST = r"\b(?:must|needs to|need to|has to|have to) be (?:\w+ )?{named}\b"
STATED = {
    Action.CANCEL: (_MUST,),
    Action.REFUND: (_MUST, r"\byou owe (?:me|us)\b|\b(?:is|are) yours to return\b"),
    Action.ADDRESS: (
        _MUST,
        r"\bshould (?:now |rather |instead |please )?go to\b",
        r"\b(?:make sure|ensure|see to it)(?: that)? (?:xorder|it|this|the \w+|my \w+) (?:goes|is|gets|comes|arrives) (?:delivered |sent |redirected )?(?:to|at)\b",
    ),
    Action.REPORT: (_MUST,),
}
SHORT_NOUNS = {
    Action.CANCEL: r"cancel|cancellation|annulment",
    Action.REFUND: r"refund|reimbursement|money back|compensation|repayment",
    Action.ADDRESS: r"new address|address change|change of address",
    Action.REPORT: r"claim|complaint|investigation",
}
# A negation that a clause leaves hanging over the next: "do not, whatever you hear, cancel it", "I am not saying: cancel it".
HANGING = re.compile(
    r"\b(?:not|never)$|\b(?:under|on|in) no (?:circumstances?|account|case|event)\b|\bby no means\b|"
    r"\b(?:not|never|no)\b.{0,40}\b(?:saying|say|said|asking|ask|asked|mean|telling|tell|told|want|wanted|writing|request|requested)$"
)
