"""E-mail and IP addresses."""

from collections.abc import Iterator
from ipaddress import ip_address

from core.guard.personal.candidates import Candidate, is_bounded, preceding
from core.guard.records import EntityKind
from core.kit.expressions import Expression

_EMAIL = Expression(r"[\p{L}0-9._%+\-]+@(?:[\p{L}0-9\-]+\.){1,6}\p{L}+")
_IPV4 = Expression(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_IPV6 = Expression(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.[0-9]{1,3}){0,3}")
_VERSION = Expression(
    r"(?:version|release|firmware|build|revision|rev|section|chapter|v)\.?:?\s{0,2}$", ignore_case=True
)
_CONTEXT_LENGTH = 12
_IPV6_GROUPS_MIN = 3


def find_emails(text: str) -> Iterator[Candidate]:
    """E-mail addresses."""
    for match in _EMAIL.matches_in(text):
        start = match.start()
        while text[start] in ".-+%_":
            start += 1
        if text[start] != "@":
            yield Candidate(EntityKind.EMAIL, start, match.end(), 0.95, "email")


def find_ip_addresses(text: str) -> Iterator[Candidate]:
    """IPv4 and IPv6 addresses; version numbers look the same and are excluded by the word before them."""
    for expression in (_IPV4, _IPV6):
        for match in expression.matches_in(text):
            start, end = match.start(), match.end()
            if expression is _IPV6:
                while end > start and text[end - 1] == ":" and text[end - 2 : end] != "::":
                    end -= 1
                if sum(1 for group in text[start:end].split(":") if group) < _IPV6_GROUPS_MIN:
                    continue
            if (
                is_bounded(text, start, end)
                and not (text[end : end + 1] == "." and text[end + 1 : end + 2].isdigit())
                and _is_ip_address(text[start:end])
                and not _VERSION.is_in(preceding(text, start, _CONTEXT_LENGTH))
            ):
                yield Candidate(EntityKind.IP_ADDRESS, start, end, 0.9, "ip_address")


def _is_ip_address(value: str) -> bool:
    try:
        address = ip_address(value)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback)
