"""A bad file is refused with a stable code and a sentence, and never takes anything else down."""

import contextlib
import io
import os
import signal
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fpdf import FPDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.capability import JobCancelled
from pipelines.knowledge.documents.errors import UnreadableDocument
from pipelines.knowledge.documents.isolation import IsolatedReader
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.readers import read

SAMPLES = Path(__file__).parents[3] / "samples"
CORPUS = sorted(path for path in (SAMPLES / "corpus").iterdir() if path.is_file())


def archive(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def pdf_of(pages: int, operations: int = 0) -> bytes:
    pdf = FPDF()
    pdf.set_compression(False)
    for _ in range(pages):
        pdf.add_page()
        pdf.set_font("Helvetica", size=11)
        pdf.cell(0, 6, "A page.")
        for _ in range(operations):
            pdf.line(0, 0, 1, 1)
    return bytes(pdf.output())


def refusal(data: bytes, name: str, limits: Limits | None = None) -> tuple[str, str]:
    with pytest.raises(UnreadableDocument) as caught:
        read(data, name=name, limits=limits or Limits())
    assert not caught.value.retryable
    assert caught.value.detail.endswith(".")
    return caught.value.code, caught.value.detail


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("corrupt.pdf", "document_corrupt"),
        ("empty.pdf", "document_empty"),
        ("encrypted.pdf", "document_encrypted"),
        ("image_only.pdf", "document_no_text"),
        ("not_a.docx", "document_corrupt"),
    ],
)
def test_broken_samples(name: str, code: str) -> None:
    assert refusal((SAMPLES / "broken" / name).read_bytes(), name)[0] == code


@pytest.mark.parametrize(
    ("data", "name", "code", "word"),
    [
        (b"", "a.txt", "document_empty", "empty"),
        (b" \n\t ", "a.md", "document_empty", "empty"),
        (b"--- *** ---", "a.txt", "document_no_text", "no text"),
        (b"<html><body><img src=x></body></html>", "a.html", "document_no_text", "no text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "scan.pdf", "document_unsupported", "picture"),
        (bytes(range(256)) * 40, "a.bin", "document_unsupported", "type of file"),
        (b"%PDF-1.7\n" + b"\xff" * 200, "a.pdf", "document_corrupt", "damaged"),
        (b"PK\x03\x04 and nothing more", "a.docx", "document_corrupt", "damaged"),
        (archive({"xl/workbook.bin": b"x"}), "a.xlsb", "document_unsupported", ".xlsx"),
        (archive({"mimetype": b"application/epub+zip"}), "a.epub", "document_unsupported", "EPUB"),
        (archive({"readme.txt": b"hello"}), "a.zip", "document_unsupported", "archive"),
        (archive({"[Content_Types].xml": b"<x", "word/document.xml": b"<y"}), "a.docx", "document_corrupt", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.doc", "document_unsupported", ".docx"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60) + "EncryptedPackage".encode("utf-16-le"),
            "a.docx",
            "document_encrypted",
            "password",
        ),
    ],
)
def test_bad_files(data: bytes, name: str, code: str, word: str) -> None:
    found, detail = refusal(data, name)
    assert found == code
    assert word in detail


def test_the_content_decides_and_not_the_name() -> None:
    assert read(pdf_of(1), name="report.docx").media_type == "application/pdf"


def test_a_zip_bomb_is_refused_by_its_unpacked_size() -> None:
    bomb = archive({"word/document.xml": bytes(20_000_000), "[Content_Types].xml": b"<x/>"})
    assert len(bomb) < 40_000
    assert refusal(bomb, "a.docx", Limits(uncompressed_bytes=10_000_000))[0] == "document_too_large"


def test_entities_that_multiply_are_not_expanded() -> None:
    levels = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
    body = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{levels}]><x>&a9;</x>'.encode()
    assert refusal(archive({"[Content_Types].xml": body, "word/document.xml": body}), "a.docx")[0] == "document_corrupt"


def test_bounds() -> None:
    assert refusal(b"x" * 11, "a.txt", Limits(size_bytes=10))[0] == "document_too_large"
    assert refusal(b"word " * 10, "a.txt", Limits(characters=20))[0] == "document_too_large"
    assert refusal(pdf_of(4), "a.pdf", Limits(pages=3)) == (
        "document_too_large",
        "This PDF has 4 pages; at most 3 are read.",
    )


def test_a_pdf_that_takes_too_long_is_given_up() -> None:
    slow = pdf_of(12, operations=30_000)
    begin = time.thread_time()
    assert refusal(slow, "a.pdf", Limits(seconds=0.1))[0] == "document_too_slow"
    assert 0.1 <= time.thread_time() - begin < 3


def test_nul_bytes_and_surrogates_do_not_reach_the_text() -> None:
    data = "Good\x00 morning\x1b \ud800harbour\x7f.".encode("utf-8", "surrogatepass") + b" " * 400
    text = read(data, name="a.txt").text
    assert "\x00" not in text
    text.encode("utf-8")
    assert text.startswith("Good morning")


@pytest.fixture(scope="module")
def reader() -> Iterator[IsolatedReader]:
    with IsolatedReader() as opened:
        yield opened


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_spoiled_files_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    source = bytearray(data.draw(st.sampled_from(CORPUS), label="file").read_bytes())
    for _ in range(data.draw(st.integers(1, 6), label="changes")):
        at = data.draw(st.integers(0, len(source) - 1), label="at")
        source[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20), label="bytes")
    # Any other exception, for example a KeyError deep in a parser, fails the test.
    with contextlib.suppress(UnreadableDocument):
        assert read(bytes(source), name="file", limits=Limits(seconds=10)).text


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_child_reads_what_this_process_reads(path: Path, reader: IsolatedReader) -> None:
    assert reader.read(path.read_bytes(), name=path.name) == read(path.read_bytes(), name=path.name)


def test_a_child_refuses_as_this_process_does_and_goes_on(reader: IsolatedReader) -> None:
    with pytest.raises(UnreadableDocument, match="password"):
        reader.read((SAMPLES / "broken" / "encrypted.pdf").read_bytes(), name="encrypted.pdf")
    assert reader.read(b"Fine again.", name="a.txt").text == "Fine again."


def children() -> set[int]:
    # The kernel lists them by the thread that started them, which is the sandbox's own.
    threads = Path(f"/proc/{os.getpid()}/task").iterdir()
    return {int(pid) for thread in threads for pid in (thread / "children").read_text().split()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds children through /proc")
class TestChildren:
    def test_one_that_hangs_is_killed_in_time_and_replaced(self) -> None:
        before = children()
        with IsolatedReader(Limits(seconds=0.2)) as reader:
            reader.read(b"First.", name="a.txt")
            (pid,) = children() - before
            os.kill(pid, signal.SIGSTOP)
            begin = time.monotonic()
            with pytest.raises(UnreadableDocument) as caught:
                reader.read(b"Second.", name="a.txt")
            assert caught.value.code == "document_too_slow"
            assert time.monotonic() - begin < 10
            assert pid not in children()
            assert reader.read(b"Third.", name="a.txt").text == "Third."
        assert children() - before == set()

    def test_one_that_dies_while_reading_costs_one_file(self) -> None:
        before = children()
        with IsolatedReader() as reader:
            reader.read(b"First.", name="a.txt")
            (pid,) = children() - before
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(0.4, os.kill, (pid, signal.SIGKILL)).start()
            with pytest.raises(UnreadableDocument) as caught:
                reader.read(b"Second.", name="a.txt")
            assert caught.value.code == "document_corrupt"
            assert reader.read(b"Third.", name="a.txt").text == "Third."

    def test_one_that_died_while_idle_is_not_noticed(self) -> None:
        before = children()
        with IsolatedReader() as reader:
            reader.read(b"First.", name="a.txt")
            (pid,) = children() - before
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            assert reader.read(b"Second.", name="a.txt").text == "Second."

    def test_cancelling_stops_the_reading_at_once(self) -> None:
        begin = time.monotonic()

        def check() -> None:
            if time.monotonic() - begin > 0.5:
                raise JobCancelled

        slow = pdf_of(6, operations=60_000)
        before = children()
        begin = time.monotonic()
        with IsolatedReader() as reader, pytest.raises(JobCancelled):
            reader.read(slow, name="a.pdf", check=check)
        assert time.monotonic() - begin < 5
        assert children() - before == set()

    def test_memory_is_bounded(self) -> None:
        # 40 MB of text are copied several times while they are read.
        with IsolatedReader(Limits(memory_bytes=400_000_000)) as reader:
            with pytest.raises(UnreadableDocument) as caught:
                reader.read(b"many words " * 4_000_000, name="a.txt")
            assert caught.value.code in {"document_too_large", "document_corrupt"}
            assert reader.read(b"Fine again.", name="a.txt").text == "Fine again."

    def test_several_threads_read_beside_each_other(self) -> None:
        with IsolatedReader() as reader:
            texts: dict[int, str] = {}

            def work(number: int) -> None:
                texts[number] = reader.read(f"Number {number}.".encode(), name="a.txt").text

            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert texts == {number: f"Number {number}." for number in range(4)}
