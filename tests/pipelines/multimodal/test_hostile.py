"""Files that mean harm, or are broken, each refused with its own code by a process of its own."""

import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pypdf
import pytest
from PIL import Image

from core.capability import JobCancelled, UploadedFile
from core.kit.errors import CapabilityFailure
from pipelines._kit.sandbox.pool import Pool
from pipelines._kit.sandbox.profile import Bounds
from pipelines.multimodal.files.isolation import FILES, ask, decode, inspect, match, render
from pipelines.multimodal.files.limits import PDF_PAGES, SAMPLE_RATE

SAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "multimodal"
PNG, PDF, WAV = "image/png", "application/pdf", "audio/wav"


def png(width: int, height: int, body: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def wav(seconds: int) -> bytes:
    size = seconds * SAMPLE_RATE * 2
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        SAMPLE_RATE,
        SAMPLE_RATE * 2,
        2,
        16,
        b"data",
        size,
    )
    return head + bytes(size)


def pdf(folder: Path, pages: int = 1, password: str = "") -> bytes:
    writer = pypdf.PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(100, 100)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    target = folder / "made.pdf"
    writer.write(target)
    return target.read_bytes()


Make = Callable[[Path], bytes]
CASES: dict[str, tuple[Make, str, str]] = {
    "empty": (lambda _: b"", PNG, "file_empty"),
    "bomb": (lambda _: png(60_000, 60_000, bytes(1000)), PNG, "file_too_large"),
    "endless side": (lambda _: png(30_000, 2, bytes(1000)), PNG, "file_too_large"),
    "cut off": (lambda _: (SAMPLES / "receipt.png").read_bytes()[:9000], PNG, "file_corrupt"),
    "zip behind png": (lambda _: (SAMPLES / "receipt.png").read_bytes() + b"PK\x03\x04rest", PNG, "file_polyglot"),
    "pdf behind script": (lambda f: b"<script>x</script>" + pdf(f), PDF, "file_polyglot"),
    "program": (lambda _: b"\x7fELF" + bytes(100), PNG, "file_unsupported"),
    "png as pdf": (lambda _: (SAMPLES / "receipt.png").read_bytes(), PDF, "file_wrong_type"),
    "password": (lambda f: pdf(f, password="secret"), PDF, "file_encrypted"),
    "many pages": (lambda f: pdf(f, pages=PDF_PAGES + 1), PDF, "file_too_large"),
    "not a pdf": (lambda _: b"%PDF-1.7 nothing", PDF, "file_corrupt"),
    "long audio": (lambda _: wav(16 * 60), WAV, "file_too_large"),
    "silent header": (lambda _: wav(0), WAV, "file_empty"),
    "not audio": (lambda _: b"ID3" + bytes(500), "audio/mpeg", "file_corrupt"),
}


def read(file: UploadedFile, folder: Path) -> None:
    known = inspect(file, lambda: None, owner="")
    if known["kind"] == "audio":
        decode(file, folder, lambda: None, owner="")
    else:
        render(file, known["kind"], [1], folder, lambda: None, owner="")


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_its_code(case: str, tmp_path: Path) -> None:
    make, content_type, code = CASES[case]
    path = tmp_path / "file"
    path.write_bytes(make(tmp_path))
    file = UploadedFile("file_x", "file", content_type, path.stat().st_size, "0" * 64, path)
    with pytest.raises(CapabilityFailure) as refused:
        read(file, tmp_path)
    assert refused.value.code == code
    assert not refused.value.retryable
    assert "Input field: files" in refused.value.detail


def test_memory_is_limited_by_the_kernel(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (6000, 6000)).save(path)
    task = {"action": "render", "path": str(path), "kind": "image", "pages": [1], "folder": str(tmp_path)}
    bounds = Bounds(memory_bytes=120 * 1024 * 1024)
    with Pool(replace(FILES, bounds=bounds)) as pool, pytest.raises(CapabilityFailure) as refused:
        ask(pool, task, lambda: None, owner="")
    assert refused.value.code == "file_too_large"


def test_a_relative_path_is_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES)
    file = UploadedFile("file_x", "receipt.png", PNG, 1, "0" * 64, Path("receipt.png"))
    assert inspect(file, lambda: None, owner="")["pages"] == 1


def test_a_cancelled_job_kills_the_child(tmp_path: Path) -> None:
    def stop() -> None:
        raise JobCancelled

    file = UploadedFile("file_x", "bulletin.pdf", PDF, 1, "0" * 64, SAMPLES / "bulletin.pdf")
    with pytest.raises(JobCancelled):
        render(file, "pdf", [1] * 200, tmp_path, stop, owner="")


@pytest.mark.survive("A3")
@pytest.mark.parametrize("unit", ["#", " ", "a ", "1", "a1 ", "€ "])
def test_print_that_is_slow_to_look_through_holds_no_one_up(
    unit: str, record_property: Callable[[str, object], None]
) -> None:
    gaps: list[float] = []
    ended = threading.Event()

    def beat() -> None:
        last = time.monotonic()
        while not ended.wait(0.01):
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    beating = threading.Thread(target=beat)
    beating.start()
    line = {"text": "Total" + unit * (64_000 // len(unit)) + "x", "confidence": 1.0}
    schema = {"properties": {name: {"type": "number"} for name in ("total", "tax", "net", "price")}}
    try:
        begun = time.monotonic()
        match(schema, [line] * 4, lambda: None, owner="hostile")
        seconds = time.monotonic() - begun
    finally:
        ended.set()
        beating.join()
    record_property(
        "figure", f"read in {seconds:.2f} s, the worker's threads waited {max(gaps, default=0):.2f} s at most"
    )
    assert seconds < 20
    assert max(gaps, default=0) < 2


@pytest.mark.survive("A3")
def test_lines_that_end_their_process_end_their_own_job_alone() -> None:
    slow = {"text": "total: " + "a" * 900_000, "confidence": 1.0}
    tasks = [
        {
            "action": "match",
            "schema": {"properties": {"total": {"enum": [f"b{number}" for number in range(400)]}}},
            "lines": [slow] * 30,
        },
        {
            "action": "match",
            "schema": {"properties": {"total": {"type": "number"}}},
            "lines": [{"text": "Total: $5.00", "confidence": 1.0}],
        },
    ]
    bounds = replace(FILES.bounds, cpu_seconds=1, clock_seconds=4)
    with Pool(replace(FILES, size=1, bounds=bounds)) as pool:
        with pytest.raises(CapabilityFailure) as refused:
            ask(pool, tasks[0], lambda: None, owner="one")
        assert refused.value.code == "file_too_slow"
        assert ask(pool, tasks[1], lambda: None, owner="two")["found"]["total"]["value"] == 5
