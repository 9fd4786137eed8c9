import json
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import docx
import pypdf
import pytest
from docx.opc.exceptions import PackageNotFoundError
from pypdf.errors import EmptyFileError, FileNotDecryptedError, PdfReadError

SAMPLES = Path(__file__).parents[2] / "samples"
CORPUS = SAMPLES / "corpus"
BROKEN = SAMPLES / "broken"
QUESTIONS = [json.loads(line) for line in (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
ANSWERABLE = [question for question in QUESTIONS if question["document"] is not None]
WORDS_PER_PAGE = 425


class _VisibleText(HTMLParser):
    BLOCKS = frozenset({"p", "li", "td", "th", "h1", "h2", "h3", "dt", "dd", "caption", "a", "title"})
    HIDDEN = frozenset({"style", "script"})

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.hidden += tag in self.HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in self.HIDDEN
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def _html_text(path: Path) -> str:
    parser = _VisibleText()
    parser.feed(path.read_text(encoding="utf-8"))
    return "".join(parser.parts)


def _docx_text(path: Path) -> str:
    document = docx.Document(str(path))
    cells = (cell.text for table in document.tables for row in table.rows for cell in row.cells)
    return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


def _pdf_text(path: Path) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


@cache
def text_of(name: str) -> str:
    path = CORPUS / name
    match path.suffix:
        case ".pdf":
            text = _pdf_text(path)
        case ".docx":
            text = _docx_text(path)
        case ".html":
            text = _html_text(path)
        case _:
            text = path.read_text(encoding="utf-8")
    return " ".join(text.split())


def pages_of(path: Path) -> int:
    if path.suffix == ".pdf":
        return len(pypdf.PdfReader(path).pages)
    return max(1, len(text_of(path.name).split()) // WORDS_PER_PAGE)


def _documents() -> list[Path]:
    return sorted(CORPUS.iterdir())


def test_the_corpus_is_at_least_forty_pages_in_every_format() -> None:
    by_format: dict[str, int] = {}
    for path in _documents():
        by_format[path.suffix] = by_format.get(path.suffix, 0) + pages_of(path)

    assert set(by_format) == {".pdf", ".docx", ".html", ".md", ".txt"}
    assert sum(by_format.values()) >= 40, by_format
    assert sum(path.stat().st_size for path in _documents()) < 3_000_000


def test_no_paragraph_is_used_twice() -> None:
    seen: dict[str, str] = {}
    sources = [*SAMPLES.glob("sources/*/*.md"), *CORPUS.glob("*.md"), *CORPUS.glob("*.txt"), *CORPUS.glob("*.html")]
    for path in sorted(sources):
        text = _html_text(path) if path.suffix == ".html" else path.read_text(encoding="utf-8")
        breaks = r"\n+" if path.suffix == ".html" else r"\n\s*\n"
        for paragraph in (" ".join(part.split()) for part in re.split(breaks, text)):
            if len(paragraph.split()) < 12:
                continue
            assert paragraph not in seen, f"{path.name} repeats a paragraph of {seen[paragraph]}: {paragraph[:80]}"
            seen[paragraph] = path.name


@pytest.mark.parametrize("question", ANSWERABLE, ids=lambda question: str(question["question"])[:40])
def test_the_quote_is_in_the_document(question: dict[str, str]) -> None:
    assert " ".join(question["quote"].split()) in text_of(question["document"])


def test_the_questions_cover_every_document_and_some_have_no_answer() -> None:
    assert {question["document"] for question in ANSWERABLE} == {path.name for path in _documents()}
    assert len({question["question"] for question in QUESTIONS}) == len(QUESTIONS)
    unanswerable = [question for question in QUESTIONS if question["document"] is None]
    assert len(unanswerable) >= 8
    assert all(question["quote"] is None and question["answer"] is None for question in unanswerable)


def test_a_rebuild_gives_the_committed_bytes(tmp_path: Path) -> None:
    command = [sys.executable, str(SAMPLES / "build_corpus.py"), "--out", str(tmp_path)]
    written = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    rendered = {path.name for path in _documents() if path.suffix in {".pdf", ".docx"}}
    assert {Path(line).name for line in written} == rendered | {path.name for path in BROKEN.iterdir()}
    for path in map(Path, written):
        committed = SAMPLES / path.relative_to(tmp_path)
        assert path.read_bytes() == committed.read_bytes(), f"{committed.name} is older than its source: rebuild it"


def test_each_broken_file_is_broken_in_its_own_way() -> None:
    with pytest.raises(PdfReadError):
        len(pypdf.PdfReader(BROKEN / "corrupt.pdf").pages)
    with pytest.raises(EmptyFileError):
        pypdf.PdfReader(BROKEN / "empty.pdf")
    with pytest.raises(FileNotDecryptedError):
        len(pypdf.PdfReader(BROKEN / "encrypted.pdf").pages)
    (page,) = pypdf.PdfReader(BROKEN / "image_only.pdf").pages
    assert page.extract_text() == ""
    assert len(page.images) == 1
    with pytest.raises(PackageNotFoundError):
        docx.Document(str(BROKEN / "not_a.docx"))


def test_the_encrypted_file_opens_with_the_password_of_the_readme() -> None:
    password = re.search(r"password `([^`]+)`", (SAMPLES / "README.md").read_text(encoding="utf-8"))
    assert password is not None
    reader = pypdf.PdfReader(BROKEN / "encrypted.pdf")
    reader.decrypt(password[1])
    assert "Sealed tender" in reader.pages[0].extract_text()
