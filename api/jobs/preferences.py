"""The ``Prefer`` header (RFC 7240), as far as Waybill supports it: ``wait``."""


def parse_wait(header: str | None, max_seconds: int) -> int:
    """The seconds of ``Prefer: wait=N``, at most `max_seconds`; 0 when it is absent or not a number.

    An unreadable preference is ignored, as the RFC requires.
    """
    for preference in (header or "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        text = value.strip().strip('"')
        if name.strip().lower() == "wait" and text.isascii() and text.isdigit():
            return min(int(text[:9]), max_seconds)
    return 0
