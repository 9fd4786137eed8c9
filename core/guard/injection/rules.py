"""Forms that attacks have in common whatever they are about: each is a feature of the model, and a few decide alone."""

from dataclasses import dataclass

from core.guard.injection.normalize import fold
from core.kit.expressions import Expression


@dataclass(frozen=True, slots=True)
class Form:
    """A form, and the least score of a text that has it: 0 where the model decides what it means."""

    name: str
    expression: Expression
    least_score: float = 0.0


_ALL = r"(?:(?:all|any|every|of|the|your|my|these|those|this|our|and|everything|other) ){0,4}"
_BEFORE = r"(?:previous|prior|above|earlier|preceding|foregoing|past|initial|original|existing|current|former|system|safety|security)"
_ORDERS = r"(?:instruction|prompt|rule|guideline|direction|directive|command|order|polic|restriction|constraint|programming|text|message|content|guardrail)"
_DROP = r"(?:ignore|disregard|forget|bypass|override|overrule|discard|dismiss|neglect|skip|drop|do not follow|don't follow|stop following|pay no attention to)"
_SHOW = r"(?:reveal|show|print|output|display|repeat|tell|give|share|dump|leak|disclose|expose|recite|echo|spell|write|say|list|send|provide|translate|encode|summari[sz]e|copy|what(?: is|'s| are| was| were))"
_SECRET = r"(?:access code|pass ?word|pass ?phrase|pass ?code|secret|code ?word|security code|key ?phrase|pin code|api key|credential|flag)"
_FORMS: tuple[tuple[str, str, float], ...] = (
    ("chat_token", r"<\|?/?(?:im_start|im_end|im_sep|endoftext|end_of_text|begin_of_text|start_header_id|end_header_id|eot_id|system|user|assistant|endofprompt|fim_prefix)\|?>", 0),
    ("chat_turn", r"<\|(?:im_start|start_header_id)\|> ?system", 0.9),
    ("inst_token", r"\[/?inst\]|<</?sys>>|\[/?system\]|\[system (?:message|override|prompt)|</?(?:system|instructions?|prompt|sys)>", 0),
    ("role_line", r"(?:^| )(?:#{1,4} ?)?(?:system|assistant|developer|admin|ai) ?(?:message|note|prompt|override|update|instruction)? ?:", 0),
    ("end_marker", r"(?:end|begin|start|new) (?:of )?(?:the )?(?:system |user |previous )?(?:prompt|instructions?|input|document|context|conversation|text|string|message|session)\b|[-=#*]{3,} ?end|[\]})\"']{4,}", 0),
    ("drop_orders", rf"\b{_DROP} {_ALL}(?:{_BEFORE} ){{1,2}}(?:and \w+ )?(?:\w+ )?{_ORDERS}", 0),
    ("drop_your_orders", rf"\b{_DROP} {_ALL}(?:your|the|any|all) (?:\w+ ){{0,3}}{_ORDERS}", 0),
    ("drop_what_was_said", rf"\b{_DROP} (?:everything|anything|all|what(?:ever)?) (?:that )?(?:\w+ ){{0,4}}(?:above|before|previously|said|told|until now|so far|earlier|prior|know|learned|this)", 0),
    ("drop_de", r"(?:ignorier|vergiss|vergessen|missacht|uberschreib|verwirf|umgeh)\w* (?:\w+ ){0,5}(?:anweisung|regel|vorgabe|instruktion|richtlinie|befehl|einschrankung|bisherig|prompt)", 0),
    ("drop_fr", r"(?:ignor|oubli|neglig|contourn|desactiv)\w* (?:[\w']+ ){0,5}(?:instructions?|consignes?|regles?|directives?|restrictions?|precede|prompt)", 0),
    ("drop_es_pt_it", r"(?:ignor|olvid|descart|omit|desactiv|esque|desconsider|dimentic)\w* (?:\w+ ){0,5}(?:instruc|regla|ordene|restricc|indicacion|directric|regra|istruzion|regole|anterior|preceden)", 0),
    ("drop_nl", r"(?:negeer|vergeet|omzeil|wis)\w* (?:\w+ ){0,5}(?:instructie|regel|beperking|richtlijn|opdracht|prompt)", 0),
    ("drop_pl_ru", r"(?:zignoruj|zapomnij|pomin)\w* (?:\w+ ){0,4}(?:instrukcj|polecen|zasad)|(?:игнорир|забуд|проигнорир)[^.]{0,60}(?:инструкц|правил|указани)", 0),
    ("drop_zh_ja_ko", r"(?:忽略|忘记|无视|忽視|無視|忘れ|무시)[^。.]{0,30}(?:指令|指示|规则|規則|命令|提示|ルール|지시|명령|규칙)|(?:指示|命令|ルール|지시|규칙)[^。.]{0,20}(?:無視|忘れ|무시)", 0),
    ("show_prompt", rf"\b{_SHOW}(?: \w+){{0,6}} (?:system|initial|original|hidden|secret|internal|full|first|developer|starting|above|previous|your) (?:\w+ )?(?:prompt|instruction|message|rule|configuration|guideline|directive)", 0),
    ("show_above", r"\b(?:repeat|print|output|copy|show|write|translate|summari[sz]e|recite|what(?: is|'s| was)|echo|return|say|rewrite|paste) (?:[\w']+ ){0,5}(?:above|before this|preceding|previous(?:ly)?|verbatim|so far|word for word|this line|this point)", 0),
    ("show_secret", rf"\b{_SHOW}(?: [\w']+){{0,6}} {_SECRET}", 0),
    ("secret_parts", rf"(?:letter|character|digit|syllable|word|backward|reverse|rhym|acrostic|poem|hint|riddle|base64|rot13|hex|morse|emoji|spell|initial)\w*(?: [\w']+){{0,8}} {_SECRET}|{_SECRET}(?: [\w']+){{0,8}} (?:backward|reverse|letter by letter|in base64|in hex|in morse|spelled|one letter|as a poem|as an acrostic|with spaces|in rot13|in pig latin)", 0),
    ("secret_de_fr_es_nl", r"(?:verrat|nenn|sag|zeig|gib|revel|donn|montr|affich|dis|dime|muestr|dame|vertel|geef|toon|onthul|zeg|wie laute|was ist|wat is|quel est|cual es)\w*(?: [\w']+){0,5} (?:passwort|kennwort|geheim\w*|losungswort|zugangscode|mot de passe|code secret|code d'acces|secret|contrasena|clave|codigo de acceso|secreto|wachtwoord|toegangscode|systemprompt|system-prompt|system ?prompt)", 0),
    ("grant", r"access (?:is |has been |was )?granted|\"?granted\"?[.!]|(?:say|print|output|reply|respond|write|return|type|repeat|answer)(?: [\w']+){0,5} ['\"`*]*access", 0),
    ("code_is_right", r"(?:access|security|pass|secret)[ -]?(?:code|word|phrase)? (?:is|was|entered is|provided is|has been) (?:now )?(?:correct|valid|right|accepted|verified|changed|irrelevant|unnecessary|removed|disabled|not needed|no longer)", 0),
    ("say_exactly", r"(?:say|print|output|reply|respond|write|return|answer)(?: only| just| exactly| with| back){1,3} ?(?:the )?(?:word|phrase|text|string|following|message|sentence)?s? ?:? ?[\"'`*]", 0),
    ("new_orders", r"\b(?:your |the |here are |these are |following )?(?:new|updated|real|actual|true|revised|only) (?:system )?(?:instructions?|task|directives?|rules?|orders?|prompt|objective|goal|mission)(?: is| are|:| now| from)", 0),
    ("from_now_on", r"\bfrom (?:now on|this (?:point|moment)|here on)|\bhenceforth|\bab (?:jetzt|sofort)|\ba partir de (?:ahora|agora|maintenant)|\bdesormais|\bvanaf nu|\bvoortaan|\bd'ora in poi", 0),
    ("you_are_now", r"\byou are (?:now|no longer|going to|about to)\b|\byou're (?:now|no longer)\b|\byou will (?:now )?(?:act|be|become|play|pretend|behave|respond|answer|simulate)|\bdu bist (?:jetzt|nun|ab)|\btu es maintenant|\bahora eres|\bje bent (?:nu|vanaf)", 0),
    ("act_as", r"\b(?:act|behave|respond|pretend|roleplay|role-play|simulate|imagine) (?:as|like|to be|that you|you are|being|exactly)", 0),
    ("mode", r"\b(?:developer|dev|debug|god|admin|maintenance|jailbreak|dan|unrestricted|unfiltered|sudo|root|test|diagnostic|evil|opposite|chaos|freedom) ?-?mode\b|\bmode (?:enabled|activated|on|unlocked)", 0),
    ("dan", r"\bdo anything now\b|\bjailbr[eo]\w+|\bdan (?:is|can|will|does|mode|prompt|has)\b|\[(?:\W)?(?:classic|jailbreak|dan|gpt|normal)(?:\W)?\]|\bstay (?:in character|a dan)|\bstill a dan", 0),
    ("no_limits", r"\b(?:no|without|free (?:of|from)|not bound by|has no|have no|any|lack of|zero|devoid of|unbound by|regardless of)(?: [\w']+){0,4} (?:restrictions?|limitations?|filters?|censorship|morals?|ethics|ethical|moral|guidelines?|boundaries|safeguards?|content polic|rules|limits|constraints|warnings?|disclaimers?|legality)", 0),
    ("never_refuse", r"\b(?:never|not|don't|cannot|can't|won't|must not|do not|without) (?:ever )?(?:refus|declin|apologi[sz]|say (?:no|that you can|you can|sorry)|warn|moraliz|lectur|mention(?:ing)? (?:that )?(?:you|ethic|polic|openai|ai))", 0),
    ("as_a_model", r"\bas an? (?:ai|language|large)[ -](?:language )?(?:model|assistant)|\bopenai(?:'s)? (?:content )?(?:polic|guideline|rule|restriction)|\bcontent polic", 0),
    ("two_answers", r"\btwo (?:different )?(?:responses|answers|replies|ways|paragraphs|outputs)|\bboth (?:responses|answers|as)", 0),
    ("hypothetical", r"\b(?:hypothetical|fictional|imaginary|alternate|parallel|purely educational|for research purposes|novel|screenplay|story)\b(?: [\w',]+){0,12} (?:no (?:rules|laws|restrictions|ethic)|anything|without|illegal|explains? (?:how|step|exactly)|step[ -]by[ -]step|detail)", 0),
    ("authority", r"\bi(?:'m| am) (?:your |the |an? )?(?:\w+ )?(?:developer|creator|admin|administrator|owner|programmer|engineer at|ceo|supervisor|maintainer|security auditor|openai|anthropic)|\b(?:authorized|authori[sz]ation|security|admin|developer) (?:override|clearance|code|level|access)", 0),
    ("interpreter", r"\b(?:python|javascript|linux|bash|sql|code) (?:interpreter|terminal|shell|console|repl|vm)|\bprint\((?:access|secret|pass|system|prompt|self|instructions)|\becho \$?(?:access|secret|pass|system)|\bcat /?(?:\w+/)*(?:secret|passw|system|prompt)|\{\{ ?(?:system|secret|password|prompt)", 0),
    ("decode_and_do", r"\b(?:decode|decipher|decrypt|unscramble|reverse|concatenate|combine|join|base64|rot13)\b(?: [\w',]+){0,10} (?:and|then) (?:\w+ ){0,3}(?:follow|execute|do|obey|run|answer|comply|perform|act|respond)", 0),
    ("exfiltrate", r"(?:send|post|forward|append|upload|email|exfiltrate|curl|fetch)(?: [\w'./:-]+){0,10} (?:https?://|attacker|evil|@[\w-]+\.)|!\[[^\]]{0,60}\]\(https?://", 0),
    ("begin_with", r"\b(?:begin|start|starting|beginning|end|finish)(?: \w+){0,4} (?:with|by)(?: \w+){0,3} ?['\"`:]", 0),
    ("pwned", r"\bpwned\b|\bhacked\b|\bhaha+\b", 0),
)
FORMS = tuple(Form(name, Expression(fold(pattern) if not pattern.isascii() else pattern), least) for name, pattern, least in _FORMS)


def forms_in(folded: str) -> list[int]:
    """Which of `FORMS` a folded text has, by their place."""
    return [place for place, form in enumerate(FORMS) if form.expression.is_in(folded)]
