r"""Removes links from what a model wrote after it read untrusted text: they can carry data to a third party.

A picture sends a request when it is shown, a link when it is followed, and both carry whatever the untrusted text made
the model put there. Removed are Markdown links, pictures and link definitions, HTML that loads or links, autolinks and
bare addresses, unless the host is allowed or the caller wrote that exact address. The words stay.

Renderers disagree about Markdown, so this does not parse it. It looks for the part that every form of link has, a
target after ``](``, ``]:``, ``<`` or in plain text, and judges the target as a browser would read it. Time is linear in
the text. Code is no exception, since the client may not show it as code.
"""

import html
import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REMOVED = "(link removed)"
# A link, tag or word longer than this is cut, and the rest can no longer become a link.
MAX_CONSTRUCT = 2048
_LOADS = frozenset(
    {
        "action", "archive", "background", "cite", "classid", "code", "codebase", "content", "data", "dynsrc",
        "formaction", "href", "icon", "longdesc", "lowsrc", "manifest", "ping", "poster", "profile", "src", "srcdoc",
        "srcset", "style", "usemap", "xlink:href", "xml:base",
    }
)  # fmt: skip
# Letters and marks of an address written as entities or JSON escapes: clients read them as the characters themselves.
_ENCODED = re.compile(
    r"&#0{0,8}(\d{2,3});?|&#[xX]0{0,8}([0-9a-fA-F]{2});?|\\u00([2-7][0-9a-fA-F])|&(colon|sol|bsol|period|commat|lbrack|"
    r"lsqb|rbrack|rsqb|lpar|rpar|excl|quest|equals|num);"
)
_FOLDED = re.compile(r"[0-9A-Za-z:/.\\@\-_?=#&%!\[\]()]")
_BARE = re.compile(r"[A-Za-z0-9+.-]{0,21}\\?:(?:\\?[/\\]){2}[^\s<>\"]*|(?<![A-Za-z0-9])[wW]{3}\d?\.[^\s<>\"]+")
_TRAILING = ".,;:!?'*_)]}"
_TARGET = re.compile(r"\][ \t\n]{0,3}(?:\(|:)")
_ANGLED = re.compile(r"[ \t\n]{0,3}<([^<>]{0,2048})>")
_PLAIN_UNTIL_BRACKET = re.compile(r"[ \t\n<]*+([^ \t\n)]*+)")
_PLAIN = re.compile(r"[ \t\n<]*+([^ \t\n]*+)")
_TAG_START = re.compile(r"<[A-Za-z/!?]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,30}:")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_ATTRIBUTE = re.compile(r"([^\s=\"'<>/]{1,64}) ?= ?(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")
# Tags that a browser executes, loads from, or that change how it reads the rest of the text.
_ACTIVE = re.compile(
    r"/?(?:base|embed|form|frame|iframe|input|link|math|meta|object|script|style|svg|template|textarea|title|xmp)\b",
    re.IGNORECASE,
)
_ANY_TARGET = re.compile(r"[/\\:&]")
_WITH_HOST = re.compile(r"[/\\]{2}")
_AUTHORITY_END = re.compile(r"[/\\?#]")
_SPACE = re.compile(r"\s+")
_DRIVE = re.compile(r"[A-Za-z]:\\")
_SCHEME_ALONE = re.compile(r"[A-Za-z0-9+.-]*:[/\\]+")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?")
_OPEN_END = re.compile(r"\][ \t\n]{0,3}$")


@dataclass(frozen=True)
class AllowedLinks:
    """Allowed targets: `hosts` (``docs.example.com``; ``*.example.com`` for all below it), and `addresses`.

    Addresses must match exactly: one that the caller wrote carries no data away.
    """

    hosts: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    @classmethod
    def of(cls, hosts: Collection[str], trusted: Sequence[str] = ()) -> "AllowedLinks":
        """`hosts`, and every address in one of the `trusted` texts."""
        found = {_trimmed(match.group()) for text in trusted for match in _BARE.finditer(text)}
        return cls(frozenset(host.lower().rstrip(".") for host in hosts), frozenset(found))

    def allows(self, target: str) -> bool:
        """Whether a link to `target` may stay; a target without a host leads only to the client itself."""
        if target in self.addresses:
            return True
        read = _UNSEEN.sub("", _ESCAPE.sub(r"\1", html.unescape(target))).lower()
        scheme = _SCHEME.match(read)
        if scheme is None:
            if read.startswith("www"):
                return self._allows_host(read)
            # A browser reads a backslash as a slash here.
            return _WITH_HOST.match(read) is None or self._allows_host(read.lstrip("/\\"))
        if scheme.group() == "mailto:":
            return "?" not in read
        if scheme.group() not in {"http:", "https:"}:
            return scheme.group() == "tel:"
        return self._allows_host(read[scheme.end() :].lstrip("/\\"))

    def allows_bare(self, address: str) -> bool:
        """The same for an address in plain text, whose scheme may be joined to the word before it."""
        head, colon, rest = address.partition(":")
        begin = head.lower().rfind("http")
        address = f"{head[max(begin, 0) :]}{colon}{rest}"
        return bool(_SCHEME.match(address.lower()) or address[:3].lower() == "www") and self.allows(address)

    def _allows_host(self, rest: str) -> bool:
        authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
        host = authority.rpartition("@")[2].partition(":")[0].rstrip(".")
        if _HOST.fullmatch(host) is None:
            return False
        parents = host.split(".")
        return host in self.hosts or any(f"*.{'.'.join(parents[at:])}" in self.hosts for at in range(1, len(parents)))


def strip_links(text: str, allowed: AllowedLinks) -> tuple[str, int]:
    """`text` without links that are not allowed, and how many were removed."""
    stripper = LinkStripper(allowed)
    shown = stripper.feed(text) + stripper.close()
    return shown, stripper.removed


def strip_links_of(value: Any, allowed: AllowedLinks) -> tuple[Any, int]:
    """The same for a JSON value: every text in it, names included."""
    if isinstance(value, str):
        return strip_links(value, allowed)
    if isinstance(value, Mapping):
        pairs = [(strip_links(str(name), allowed), strip_links_of(item, allowed)) for name, item in value.items()]
        return {name[0]: item[0] for name, item in pairs}, sum(name[1] + item[1] for name, item in pairs)
    if isinstance(value, list | tuple):
        items = [strip_links_of(item, allowed) for item in value]
        return [item for item, _ in items], sum(count for _, count in items)
    return value, 0


class LinkStripper:
    """The same for a text that comes in pieces.

    Holds back as long as a link may be forming, at most 2,048 characters.

    However a text is cut into pieces, the output is the same, as long as no element in it is longer than that.
    """

    def __init__(self, allowed: AllowedLinks) -> None:
        self.removed = 0
        self._allowed = allowed
        self._held = ""

    def feed(self, text: str) -> str:
        """Add a piece; returns text that may be shown now."""
        self._held += text
        shown = []
        while self._held:
            # Judged piece by piece, so that a text costs the same whether it comes at once or in pieces.
            window = self._held[: 2 * MAX_CONSTRUCT]
            cut = _safe_cut(window)
            if cut == 0 and len(window) <= MAX_CONSTRUCT:
                break
            if cut == 0:
                # The space stops a construct that was opened here from continuing after it.
                shown.append(f"{self._strip(self._held[:MAX_CONSTRUCT])} ")
                cut = MAX_CONSTRUCT
            else:
                shown.append(self._strip(self._held[:cut]))
            self._held = self._held[cut:]
        return "".join(shown)

    def close(self) -> str:
        """Complete the text; returns the rest of it."""
        rest, self._held = self._held, ""
        return self._strip(rest)

    def _strip(self, text: str) -> str:
        if not text or text.isspace():
            return text
        text = _ENCODED.sub(_decoded, text)
        return self._without_bare(self._without_tags(self._without_targets(text)))

    def _without_targets(self, text: str) -> str:
        """Without the targets after ``](`` and ``]:``."""
        shown, at = [], 0
        bracket = -2
        while (found := _TARGET.search(text, at)) is not None:
            shown.append(text[at : found.end()])
            at = found.end()
            if bracket != -1 and bracket < at:
                bracket = text.find(")", at)
            closes = text[at - 1] == "("
            near = bracket if not closes or 0 <= bracket - at < MAX_CONSTRUCT else -1
            end, target = (None, "") if closes and near == -1 else _target(text, at, closes=closes)
            if end is None:
                # Never closed here, so nothing after it may close it either.
                shown[-1] = shown[-1].replace("(", "&#40;")
                continue
            if not self._allowed.allows(target):
                self.removed += 1
                shown[-1] = shown[-1][: 1 - len(found.group())] + f" {REMOVED}"
                at = end
        return "".join([*shown, text[at:]])

    def _without_tags(self, text: str) -> str:
        """Without autolinks and HTML tags that load or link."""
        shown, at = [], 0
        closing = -2
        while (found := _TAG_START.search(text, at)) is not None:
            begin = found.start()
            if closing != -1 and closing < begin:
                closing = text.find(">", begin)
            shown.append(text[at:begin])
            if closing == -1 or closing - begin > MAX_CONSTRUCT:
                shown.append("&lt;")
                at = begin + 1
                continue
            inner = text[begin + 1 : closing]
            if self._keeps_tag(inner):
                shown.append(text[begin : closing + 1])
            else:
                self.removed += 1
                shown.append(REMOVED)
            at = closing + 1
        return "".join([*shown, text[at:]])

    def _keeps_tag(self, inner: str) -> bool:
        if inner.count('"') % 2 or inner.count("'") % 2:
            # It continues after this bracket, where its targets would not be checked.
            return False
        if _SCHEME.match(inner.lower()) and not _SPACE.search(inner):
            return self._allowed.allows(inner)
        if _ACTIVE.match(inner):
            return False
        for name, value in _ATTRIBUTE.findall(_SPACE.sub(" ", inner)):
            if name.lower() in _LOADS and not self._keeps_attribute(name.lower(), value.strip("\"'")):
                return False
        return True

    def _keeps_attribute(self, name: str, value: str) -> bool:
        if name in {"srcset", "style", "content", "archive", "ping", "srcdoc"}:
            # More than one target, or one inside another: no host is worth parsing these.
            return _ANY_TARGET.search(value) is None
        return self._allowed.allows(value)

    def _without_bare(self, text: str) -> str:
        def judged(match: re.Match[str]) -> str:
            whole = match.group()
            target = _trimmed(whole)
            if _DRIVE.match(whole) or _SCHEME_ALONE.fullmatch(target) or self._allowed.allows_bare(target):
                return whole
            self.removed += 1
            return REMOVED + whole[len(target) :]

        return _BARE.sub(judged, text)


def _trimmed(address: str) -> str:
    """An address without the punctuation of its sentence."""
    trimmed = address.rstrip(_TRAILING)
    return trimmed or address


def _decoded(match: re.Match[str]) -> str:
    decimal, hexadecimal, escaped, named = match.groups()
    if named:
        return html.unescape(match.group())
    character = chr(int(decimal) if decimal else int(hexadecimal or escaped, 16))
    return character if _FOLDED.fullmatch(character) else match.group()


def _target(text: str, at: int, *, closes: bool) -> tuple[int | None, str]:
    """The end of the target starting at `at`, including its bracket, and the target; None when it does not end."""
    limit = min(len(text), at + MAX_CONSTRUCT)
    found = (
        _ANGLED if text[at : at + 64].lstrip().startswith("<") else _PLAIN_UNTIL_BRACKET if closes else _PLAIN
    ).match(text, at, limit)
    if found is None:
        return None, ""
    if not closes:
        return found.end(), found[1]
    close = text.find(")", found.end(), limit)
    return (None, "") if close == -1 else (close + 1, found[1])


def _safe_cut(text: str) -> int:
    """The length up to which `text` can be judged on its own: no link, tag or word crosses it; 0 when none can."""
    cut = max(text.rfind(space) for space in " \t\n") + 1
    # A construct that starts before the cut and has not ended there is held back whole.
    opened = _TAG_START.search(text, text.rfind(">", 0, cut) + 1, cut)
    if opened is not None:
        cut = opened.start()
    last = next(iter(deque(_TARGET.finditer(text, max(0, cut - MAX_CONSTRUCT - 8), cut), maxlen=1)), None)
    if last is not None:
        closes = last.group().endswith("(")
        end, target = _target(text[:cut], last.end(), closes=closes)
        if end is None or (not closes and (not target or end >= cut)):
            cut = last.start()
    ending = _OPEN_END.search(text, max(0, cut - 4), cut)
    return ending.start() if ending else cut
