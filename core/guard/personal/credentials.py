"""Secrets: keys in their providers' formats, tokens, private keys, passwords in addresses and after words."""

from collections import Counter
from collections.abc import Iterator
from math import log2

from core.guard.personal.candidates import Candidate, is_bounded
from core.guard.records import EntityKind
from core.kit.expressions import Expression

# The formats that the providers publish for scanners.
_KEYS = tuple(
    (name, Expression(form))
    for name, form in (
        ("aws", r"(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}"),
        ("github", r"gh[pousr]_[0-9A-Za-z]{20,255}|github_pat_[0-9A-Za-z_]{22,255}"),
        ("gitlab", r"gl(?:pat|dt|rt|cbt|ptt)-[0-9A-Za-z_\-]{20,64}"),
        ("slack", r"xox[abeoprs]-[0-9A-Za-z\-]{10,250}"),
        ("slack", r"https://hooks\.slack\.com/services/[0-9A-Za-z/]{20,90}"),
        ("stripe", r"(?:[srp]k|whsec)_(?:live|test)?_?[0-9A-Za-z]{16,250}"),
        ("openai", r"sk-(?:ant-|proj-|svcacct-|admin-|or-)?[0-9A-Za-z_\-]{20,250}"),
        ("google", r"AIza[0-9A-Za-z_\-]{35}|ya29\.[0-9A-Za-z_\-]{20,250}|GOCSPX-[0-9A-Za-z_\-]{20,40}"),
        ("huggingface", r"hf_[0-9A-Za-z]{30,50}"),
        ("npm", r"npm_[0-9A-Za-z]{36}|pypi-[0-9A-Za-z_\-]{50,250}|dckr_pat_[0-9A-Za-z_\-]{20,40}"),
        ("sendgrid", r"SG\.[0-9A-Za-z_\-]{16,32}\.[0-9A-Za-z_\-]{16,64}|key-[0-9a-f]{32}"),
        ("twilio", r"(?:SK|AC)[0-9a-f]{32}"),
        ("azure", r"AccountKey=[0-9A-Za-z+/]{40,100}={0,2}|[?&]sig=[0-9A-Za-z%+/]{30,100}(?:%3D|=){0,2}"),
        ("waybill", r"wb_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}"),
        ("jwt", r"eyJ[0-9A-Za-z_\-]{8,1000}\.[0-9A-Za-z_\-]{4,1000}\.?[0-9A-Za-z_\-]{0,1000}"),
        ("pem", r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"),
        (
            "connection",
            r"[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:/@]{0,80}:[^\s/@$<{*\[\x{2026}%][^\s/@]{1,200}@[^\s\"'<>,;)]{1,250}",
        ),
    )
)
_PEM_END = Expression(r"-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_PEM_LENGTH_MAX = 4_000
_SUBJECT = (
    r"(?P<password>pass(?:word|wort|wd|phrase|code)?|pwd|kennwort|mot de passe|contrase[ñn]a|wachtwoord|senha"
    r"|parola d.ordine)"
    r"|secret|token|api[_\- ]?key|access[_\- ]?key|private[_\- ]?key|account[_\- ]?key|signing[_\- ]?key"
    r"|encryption[_\- ]?key"
    r"|auth(?:orization)?|bearer|credentials?|geheimnis|schl[üu]ssel|jeton|clave"
)
_ASSIGNED = Expression(
    rf"(?:{_SUBJECT})[A-Za-z0-9_\-]{{0,20}}[\"']?"
    r"(?P<link>\s{0,3}(?::=|=>|[:=])\s{0,3}(?:Bearer |Basic )?|\s(?:is|lautet|ist|est|es|era|was|è)[: ]\s{0,2}|\s)"
    r"[\"'`]?(?P<value>[^\s\"'`]{6,300})",
    ignore_case=True,
)
_GROUP_PASSWORD, _GROUP_LINK, _GROUP_VALUE = 1, 2, 3
_PLACEHOLDER = Expression(
    r"^(?:[<\[{$%*.]|\\\*|x{4,}|y?our[_\-]|none|null|true|false|https?://|process\.|os\.)", ignore_case=True
)
_PASSWORD_LENGTH_MIN, _PASSWORD_BITS = 6, 2.0
_TOKEN_LENGTH_MIN, _TOKEN_BITS = 12, 3.0


def find_secrets(text: str) -> Iterator[Candidate]:
    """Secrets by their provider's format, and random-looking values after a word such as password or token."""
    for name, form in _KEYS:
        for match in form.matches_in(text):
            start, end = match.start(), match.end()
            if name == "pem":
                block = text[start : start + _PEM_LENGTH_MAX]
                end = start + next((close.end() for close in _PEM_END.matches_in(block)), len(block))
            elif name != "azure" and not is_bounded(text, start, end):
                continue
            yield Candidate(EntityKind.SECRET, start, end, 0.97, name)
    for match in _ASSIGNED.matches_in(text):
        start, end = match.start(_GROUP_VALUE), match.end(_GROUP_VALUE)
        while end > start and text[end - 1] in ".,;:)]}>":
            end -= 1
        is_password = match.start(_GROUP_PASSWORD) >= 0
        if _is_secret(text[start:end], text[match.start(_GROUP_LINK) : start], is_password):
            yield Candidate(EntityKind.SECRET, start, end, 0.85, "assignment")


def _is_secret(value: str, link: str, is_password: bool) -> bool:
    """Whether a value after a word for a secret is one: not a word of a sentence, nor an amount."""
    if _PLACEHOLDER.is_in(value):
        return False
    is_assigned = any(each in link for each in ":=")
    has_digit = any(map(str.isdigit, value))
    has_letter = any(map(str.isalpha, value))
    has_symbol = any(not each.isalnum() and each not in "-_./" for each in value[:-1])
    if is_password:
        is_mixed = (has_digit and has_letter) or (has_letter and has_symbol)
        is_plain_assignment = "=" in link and link.strip() == "="
        is_odd = is_mixed or is_plain_assignment or (is_assigned and has_digit)
        return (
            (is_assigned or link.strip() != "")
            and len(value) >= _PASSWORD_LENGTH_MIN
            and is_odd
            and (_bits(value) >= _PASSWORD_BITS)
        )
    return len(value) >= _TOKEN_LENGTH_MIN and has_digit and has_letter and _bits(value) >= _TOKEN_BITS


def _bits(value: str) -> float:
    """The entropy per character of `value`, from the frequency of each character in it."""
    return -sum(count / len(value) * log2(count / len(value)) for count in Counter(value).values())
