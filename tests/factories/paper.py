"""Receipts, invoices, scanned pages and spoken sentences with known content, drawn here: nothing of anybody else's."""

import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK = (25, 25, 30)
Item = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Bill:
    """What stands on a receipt or an invoice. Amounts are written as they are printed."""

    seller: str
    number: str
    date: str
    items: tuple[Item, ...]
    subtotal: str
    tax: str
    total: str
    customer: str = ""


def draw_receipt(bill: Bill, path: Path, *, noise: int = 0) -> None:
    """A till receipt, 640 pixels wide."""
    sheet = Image.new("RGB", (640, 420 + 44 * len(bill.items)), "white")
    pen = ImageDraw.Draw(sheet)
    font, large = ImageFont.load_default(26), ImageFont.load_default(36)
    pen.text((320, 40), bill.seller, fill=INK, font=large, anchor="mm")
    pen.text((40, 90), f"Receipt No: {bill.number}", fill=INK, font=font)
    pen.text((40, 130), f"Date: {bill.date}", fill=INK, font=font)
    top = 190
    for name, quantity, price in bill.items:
        pen.text((40, top), f"{quantity} x {name}", fill=INK, font=font)
        pen.text((600, top), price, fill=INK, font=font, anchor="ra")
        top += 44
    for label, amount in (("Subtotal", bill.subtotal), ("VAT", bill.tax), ("TOTAL", bill.total)):
        pen.text((40, top + 20), label, fill=INK, font=font)
        pen.text((600, top + 20), amount, fill=INK, font=font, anchor="ra")
        top += 44
    _spoiled(sheet, noise).save(path)


def draw_invoice(bill: Bill, path: Path, *, noise: int = 0) -> None:
    """A page of A4 at 110 dots an inch as a scan: a picture, in a PDF when `path` ends so."""
    sheet = Image.new("RGB", (909, 1286), "white")
    pen = ImageDraw.Draw(sheet)
    font, large = ImageFont.load_default(21), ImageFont.load_default(34)
    pen.text((70, 70), bill.seller, fill=INK, font=large)
    pen.text((70, 150), f"Invoice number: {bill.number}", fill=INK, font=font)
    pen.text((70, 185), f"Invoice date: {bill.date}", fill=INK, font=font)
    pen.text((70, 220), f"Bill to: {bill.customer}", fill=INK, font=font)
    top = draw_table(pen, ("Description", "Qty", "Amount"), bill.items, (70, 520, 700), 320)
    for label, amount in (("Subtotal", bill.subtotal), ("Tax", bill.tax), ("Total due", bill.total)):
        pen.text((520, top + 30), label, fill=INK, font=font)
        pen.text((700, top + 30), amount, fill=INK, font=font)
        top += 36
    _spoiled(sheet, noise).save(path, resolution=110)


def draw_table(
    pen: ImageDraw.ImageDraw, head: Sequence[str], rows: Sequence[Sequence[object]], places: Sequence[int], top: int
) -> int:
    """A table with rules above and below its head; returns where it ends."""
    font = ImageFont.load_default(21)
    for place, text in zip(places, head, strict=True):
        pen.text((place, top), text, fill=INK, font=font)
    pen.line((places[0], top + 32, places[-1] + 140, top + 32), fill=INK, width=2)
    for row in rows:
        top += 42
        for place, cell in zip(places, row, strict=True):
            pen.text((place, top), str(cell), fill=INK, font=font)
    return top + 42


def draw_columns(
    title: str,
    left: Sequence[str],
    right: Sequence[str],
    path: Path,
    table: tuple[Sequence[str], Sequence[Sequence[object]]] | None = None,
) -> None:
    """A scanned page of two columns of lines, with a table of four columns below them."""
    sheet = Image.new("RGB", (1240, 1500), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(26)
    pen.text((620, 90), title, fill=INK, font=ImageFont.load_default(44), anchor="mm")
    for place, lines in ((80, left), (660, right)):
        for number, line in enumerate(lines):
            pen.text((place, 180 + 40 * number), line, fill=INK, font=font)
    if table is not None:
        draw_table(pen, table[0], table[1], (80, 460, 720, 980), 1000)
    sheet.save(path, resolution=150)


def say(sentence: str, path: Path) -> None:
    """The sentence as Ogg Opus, spoken by espeak-ng, which has to be installed (``apt install espeak-ng``)."""
    wave = path.with_suffix(".wav")
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "140", "-w", str(wave), sentence], check=True)
    with av.open(str(wave)) as source, av.open(str(path), "w", format="ogg") as sink:
        stream = sink.add_stream("libopus", rate=48_000, layout="mono", bit_rate=24_000)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000, frame_size=960)
        for frame in [*source.decode(audio=0), None]:
            for piece in resampler.resample(frame):
                sink.mux(stream.encode(piece))
        sink.mux(stream.encode(None))
    wave.unlink()


def _spoiled(sheet: Image.Image, noise: int) -> Image.Image:
    """The sheet as a poor scanner sees it: grain, and turned by half a degree."""
    if noise == 0:
        return sheet
    turned = sheet.rotate(0.5 if random.Random(noise).random() < 0.5 else -0.5, fillcolor="white", expand=False)
    grain = np.random.default_rng(noise).normal(0, noise, (sheet.height, sheet.width, 1))
    return Image.fromarray(np.clip(np.asarray(turned) + grain, 0, 255).astype(np.uint8))
