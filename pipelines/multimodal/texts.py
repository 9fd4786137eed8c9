"""Writes the text of a file as separate documents: Markdown and JSON, and subtitles (SRT, WebVTT) of recordings."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

_TABLE_ROWS = 2
_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>#|"})


def documents_of(parts: Sequence[Mapping[str, Any]]) -> dict[str, tuple[bytes, str]]:
    """Content and media type by file name extension, for the parts of one file in their order."""
    written = {"md": (markdown(parts), "text/markdown"), "json": (as_json(parts), "application/json")}
    if any(part["source"] == "speech" for part in parts):
        written |= {"srt": (srt(parts), "application/x-subrip"), "vtt": (vtt(parts), "text/vtt")}
    return {ending: (text.encode(), kind) for ending, (text, kind) in written.items()}


def markdown(parts: Sequence[Mapping[str, Any]]) -> str:
    """Paragraphs, and rows of cells as tables; a heading before each page, a time before each sentence of speech."""
    blocks: list[str] = []
    for part in parts:
        if part["page"] is not None:
            blocks += [f"## Page {part['page']}", *_page(part["lines"])]
        else:
            blocks += [f"[{_time(line['span'][0], '.')}] {_escaped(line['text'])}" for line in part["lines"]]
    return "\n\n".join(blocks) + "\n"


def _page(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    blocks: list[str] = []
    paragraph: list[str] = []
    table: list[list[str]] = []

    def end_of_table() -> None:
        if len(table) >= _TABLE_ROWS:
            width = max(map(len, table))
            rows = [f"| {' | '.join([*row, *[''] * (width - len(row))])} |" for row in table]
            blocks.append("\n".join([rows[0], "|" + " --- |" * width, *rows[1:]]))
        else:
            blocks.extend(" ".join(row) for row in table)
        table.clear()

    for line in lines:
        cells = [_escaped(cell["text"]) for cell in line["cells"]]
        if len(cells) > 1:
            blocks.extend(["  \n".join(paragraph)] if paragraph else [])
            paragraph = []
            table.append(cells)
            continue
        end_of_table()
        paragraph.append(cells[0])
        if line["ends"]:
            blocks.append("  \n".join(paragraph))
            paragraph = []
    end_of_table()
    return [*blocks, "  \n".join(paragraph)] if paragraph else blocks


def _escaped(text: str) -> str:
    return text.translate(_ESCAPED)


def as_json(parts: Sequence[Mapping[str, Any]]) -> str:
    """The parts with all of their lines: text, box or span, and the reader's confidence."""
    pages = [
        {
            "page": part["page"],
            "source": part["source"],
            "unit": part["unit"],
            "width": part.get("width"),
            "height": part.get("height"),
            "lines": [line_of(line) for line in part["lines"]],
        }
        for part in parts
    ]
    return json.dumps({"parts": pages}, ensure_ascii=False, indent=1)


def line_of(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line as the result and the JSON show it."""
    start, end = line.get("span") or (None, None)
    return {"text": line["text"], "box": line.get("box"), "start": start, "end": end, "confidence": line["confidence"]}


def srt(parts: Sequence[Mapping[str, Any]]) -> str:
    """Numbered subtitles, with a comma before the milliseconds."""
    return "\n".join(
        f"{number}\n{_time(start, ',')} --> {_time(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(_cues(parts), start=1)
    )


def vtt(parts: Sequence[Mapping[str, Any]]) -> str:
    """WebVTT; markup is escaped."""
    cues = [
        f"{_time(start, '.')} --> {_time(end, '.')}\n{escape(text, quote=False)}\n" for start, end, text in _cues(parts)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _cues(parts: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, str]]:
    """Start, end and text; no end after the next start, and no arrow in a text, which would start another cue."""
    spoken = [line for part in parts if part["source"] == "speech" for line in part["lines"]]
    starts = [*(line["span"][0] for line in spoken), float("inf")]
    return [
        (
            line["span"][0],
            max(line["span"][0], min(line["span"][1], following)),
            " ".join(line["text"].replace("-->", "→").split()),
        )
        for line, (_, following) in zip(spoken, pairwise(starts), strict=True)
    ]


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
