r"""Whether a quote stands in a text, word for word.

White space is compared as one space and typographic marks as their plain forms, because models write ``'`` for
``\u2019`` and break lines elsewhere. Letters, digits, case and punctuation must agree. What is reported is a span of
the text itself, so the quote shown is always the document's own wording.
"""

import re
from dataclasses import dataclass

# One character for one, so that spans keep their meaning.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\u0060", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
    }
)
_SURROUNDING = "\"' \t\r\n"
_WORD = re.compile(r"\w+")
# One word stands in almost any text and proves nothing.
_WORDS_LEAST = 2


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]``."""

    start: int
    end: int


def find_quote(text: str, quote: str) -> Span | None:
    """Where `quote` first stands in `text` as whole words; None when it does not, or is a single word.

    Quotation marks and white space around `quote` are ignored.
    """
    wanted = quote.translate(_PLAIN).strip(_SURROUNDING)
    if len(_WORD.findall(wanted)) < _WORDS_LEAST:
        return None
    pattern = r"\s+".join(re.escape(piece) for piece in wanted.split())
    # Half a word is another word, and half a number another number: 12 does not stand in 12.50.
    before = r"(?<!\w)(?<!\d[.,])" if wanted[0].isalnum() else ""
    after = r"(?!\w|[.,]\d)" if wanted[-1].isalnum() else ""
    found = re.search(f"{before}{pattern}{after}", text.translate(_PLAIN))
    return Span(found.start(), found.end()) if found else None
