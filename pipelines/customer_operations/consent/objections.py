"""What speaks against taking a message as a request: lists of English forms, over the same words as `forms`."""

# ruff: noqa: E501 - an alternative a line would hide what belongs together
import re

from pipelines.customer_operations.consent.forms import Against

# Found anywhere in the own text, they end the matter for every action.
EVERYWHERE: tuple[tuple[Against, re.Pattern[str]], ...] = (
    (
        Against.THIRD_PARTY,
        re.compile(
            r"(?:^| \. )(?:an? |the |this is an? )?(?:example|test|draft|template|sample|testing)\b|\bit says\b"
        ),
    ),
    (
        Against.INJECTION,
        re.compile(
            r"\b(?:system (?:note|message|prompt|override)|admin(?:istrator)?(?: override| mode)?|developer (?:message|mode)|"
            r"ignore (?:all |any |your |the |every )*(?:previous|prior|above|earlier|policy|policies|rules?|instructions?)|"
            r"instructions?|language model|ai model|as an ai|you are now|override|overrule|execute|tool call|policy update|begin policy|i command|command it|owner of this (?:bot|system)|"
            r"staff (?:id|number)|employee (?:id|number)|back office|head office|compliance (?:department|team)|"
            r"(?:have|has|is|was|been|already|pre) (?:already )?(?:authori[sz]ed|approved)|i (?:hereby )?authori[sz]e|(?:refund|request|consent) approved|"
            r"approved true|affirmative consent|consent (?:true|given)|reply (?:only )?(?:with )?done|testing purposes|"
            r"test mode|jailbreak|regional manager|authority to|skip the approval|do not tell anyone|assistant|sudo|root access)\b"
        ),
    ),
    (
        Against.WITHDRAWAL,
        re.compile(
            r"\b(?:never ?mind|forget (?:it|that|this|about|what|my|everything|i)|scratch that|on second thoughts?|disregard|"
            r"ignore (?:this|that|my|the (?:last|first)|what)|take (?:it |that |this )?back (?:what|my|that)|take that back|(?:i|we)(?: hereby| would like to| want to| wish to| have)? withdr[ae]w\w*|(?:please|to) withdraw|withdraw(?:ing|n)? (?:my|our|the|this|that)|retract\w*|"
            r"wait no|or no|no wait|ah no|oh no sorry|actually no|no actually|hold on|hang on|no action (?:is )?(?:required|needed)|"
            r"keep (?:the|my|our|this|it) ?(?:order|active|shipment|booking|label|parcel|going|running|as it|alive)?(?: as it)?$|keep it|leave (?:it|everything|xorder|the order|that|things) "
            r"(?:as|alone|be|unchanged|active|the way)|as it is|as is|sleep on it|my mistake|false alarm|all good now|"
            r"changed my mind (?:again|after all)|after all i (?:do|will) (?:need|keep)|no longer (?:want|wish) (?:to cancel|a refund|it cancelled)|"
            r"please undo|sorted (?:out )?(?:already|itself)|already (?:sorted|solved|settled|resolved)|it just arrived|no reply needed|close the file|history now)\b"
        ),
    ),
    (
        Against.WITHDRAWAL,
        re.compile(
            r" \. (?:and |but )?(?:update|edit|correction|wait|actually|hmm+|hm|oh|ah|nah|nope|no|sorry|stop|stop stop|on reflection|come to think of it)\b"
            r"(?! (?:please )?(?:cancel|refund|void)\b)|\b(?:you know what(?! (?:you|i|we|it|the))|let it go|leave (?:that|the) (?:one|label|order|parcel) (?:alone|as)|"
            r"did not mean|keep the money|last thing (?:i|we) (?:want|need)|would hate|i would rather (?:keep|not)|(?:edit|update|correction) (?:sorry|no|not|wrong))\b"
        ),
    ),
    (
        Against.CONDITION,
        re.compile(
            r"\b(?:ask (?:my|our|the|him|her|them)|call me|phone me|whichever|either way you|first though|confirm (?:with|by)|check with (?:me|us|my|our)|"
            r"before (?:you|doing|anything)|in the event|when (?:you|he|she|they|it|my|our|i|we) (?:\w+ )?(?:have|has|can|says?|agrees?|confirms?|is|are|will)|"
            r"once (?:you|he|she|they|it|my|our|i|we)|as soon as (?!possible|you can))\b"
        ),
    ),
    (
        Against.SARCASM,
        re.compile(
            r"\b(?:as if(?= \.|$| you (?:ever|would))|yeah right|oh sure|oh yes sure|sure sure|pigs (?:will|might|can)? ?fly|pony|santa|dare you|by all means|"
            r"make my day|why do not you just|while you are at it|to the moon|go on then|like you ever|fat chance|when hell freezes|"
            r"ten out of ten|not holding my breath|of course you will|because you are so|in your dreams|dream on|just kidding|joking|haha)\b"
        ),
    ),
    (
        Against.CONDITION,
        re.compile(
            r"\b(?:only (?:if|when|in case|once|after)|unless|otherwise|in case|provided|providing|as long as|on (?:the )?condition|"
            r"green light|wait (?:with|until|till|for)|hold off|until i|until we|till i|till we|subject to|depending on|except if|let (?:you|me) know first)\b"
        ),
    ),
    (
        Against.HYPOTHETICAL,
        re.compile(
            r"\b(?:suppos(?:e|ing)|imagine|assum(?:e|ing)|let us say|let us assume|what if|theoretically|in theory|hypothetical(?:ly)?|"
            r"if i were|were i to|might (?:have to|want|need|cancel|ask)|not (?:yet )?(?:sure|decided)|undecided|do not know yet|"
            r"thinking (?:about|of)|considering|have not decided|still deciding|toying with|playing with the idea|in principle|just curious|out of curiosity|for example|for instance|say i)\b"
        ),
    ),
    (
        Against.THIRD_PARTY,
        re.compile(
            r"\b(?:e?mails?|messages?|sentences?|phrase|chat ?bot|chat|bot|notes?|button|letter|sms|whatsapp|text) (?:\w+ ){0,3}"
            r"(?:says?|said|like|got|received|reads|saying|wrote|suggest(?:s|ed)?|tells?|told|containing|with the words)\b|\bquote\b"
        ),
    ),
    (
        Against.THIRD_PARTY,
        re.compile(
            r"\b(?:(?:neighbou?rs?|sister|brother|mother|mum|mom|father|dad|wife|husband|friends?|colleague|boss|manager|customer|"
            r"client|partner|accountant|consignee|recipient|landlord|son|daughter|aunt|uncle|cousin|roommate|flatmate|someone|somebody|people|"
            r"everybody|everyone|they|he|she|buyer|receiver|secretary|assistant|bookkeeper|lawyer|bank|shop|seller|team lead|supervisor)"
            r" (?:\w+ )?(?:wants?|wanted|wishes|would like|says?|said|thinks?|insists?|demands?|demanded|asks?|asked|told|tells|wrote|writes|"
            r"suggest(?:s|ed)?|drafted|keeps|requested|requests|expects|prefers|hopes|claims|advised|recommends?|recommended|needs)"
            r"|(?:it|this) is not (?:me|mine)|not my (?:order|parcel))\b|"
            r"\b(?:neighbor|sister|brother|mother|father|wife|husband|friend|colleague|boss|customer|client|son|daughter|aunt|uncle|cousin|"
            r"roommate|flatmate|someone|somebody)(?:'s| her| his)? (?:else's |else )?(?:parcel|order|package|refund|delivery|money|shipment)\b"
        ),
    ),
)
# Whose word it is need not be a person of the list: "my physio says", "our intern yelled".
_SPEAKS = (
    r"(?:says?|said|thinks?|told|tells|shout(?:s|ed)|yell(?:s|ed)|scream(?:s|ed)|jok(?:es|ed)|laugh(?:s|ed)|cri(?:es|ed)|repeats|repeated|"
    r"insist(?:s|ed)|suggest(?:s|ed)|advis(?:es|ed)|wrote|writes|texted|texts|mutter(?:s|ed)|urg(?:es|ed)|reckons|argues|argued|claims)"
)
EVERYWHERE += ((Against.THIRD_PARTY, re.compile(rf"\b(?:my|our|his|her) \w+ (?:\w+ )?{_SPEAKS}\b")),)
IN_SENTENCE: tuple[tuple[Against, re.Pattern[str]], ...] = (
    (
        Against.SARCASM,
        re.compile(
            r"^(?:oh |well |ah )?(?:sure|great|wonderful|bravo|wow|fantastic|brilliant|perfect|lovely|excellent|amazing|awesome|of course|"
            r"yeah|super|nice|marvell?ous|congratulations|why not)\b|\b(?:what you are good at|call it a day|why do you not just|why not just)\b"
        ),
    ),
    (
        Against.CONDITION,
        re.compile(
            r"\b(?:if|whether|should (?:it|you|he|she|they|the|that|this|xorder|my|our|i|we|anything|nobody|someone)|once|depending|assuming|in the event|"
            r"as soon as|until|till|the moment|before|but first)\b|^(?:when|after|had)\b"
        ),
    ),
    (
        Against.FUTURE,
        re.compile(
            r"\b(?:tomorrow|next (?:week|month|year|quarter|time|monday|tuesday|wednesday|thursday|friday)|later(?! than)|^soon|soon (?:i|we)|some ?day|one day soon|in the future|"
            r"(?:i|we) (?:\w+ )?will(?! not)|going to|plan(?:ning)? to|intend|at the end of|in (?:two|three|a few|some) (?:days|weeks|months)|not yet|eventually)\b"
        ),
    ),
    (
        Against.PAST,
        re.compile(
            r"\b(?:i|we|you|they|he|she) (?:have |had |has |already |just |once |then )*(?:cancelled|refunded|reimbursed|compensated|withdrew)\b|"
            r"\b(?:was|were|been|got|getting) (?:already |just |fully |partly )?(?:cancelled|refunded|reimbursed|compensated|credited|voided)\b|"
            r"\balready (?:been )?(?:cancelled|refunded|reimbursed|compensated|credited|paid|returned|received|got|changed|redirected)\b|"
            r"\b(?:asked|requested|wanted|demanded|claimed|hoped|tried|used) (?:you |for |to |in |that )"
        ),
    ),
    (
        Against.HYPOTHETICAL,
        re.compile(
            r"\b(?:maybe|perhaps|probably|wonder(?:ing)?|might|could (?:ask|cancel|claim|demand)|would (?:i|we|it|that|you still)|may(?:be)? have to|ought)\b"
        ),
    ),
)
