"""Opens files in a warm child of `pipelines._kit.sandbox`. Nothing else imports it.

inspect   → the file's kind and how many pages or seconds it has
render    → pages as PNG of bounded size, and a PDF's own text with its boxes in points from the top left
decode    → a recording as 16-bit samples, 16,000 a second, one channel
match     → the values beside the labels that a schema names, in lines that were read
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.multimodal.files.detect import Kind, detect, refuse
from pipelines.multimodal.files.limits import (
    AUDIO_SECONDS,
    IMAGE_PIXELS,
    IMAGE_SIDE,
    PDF_PAGES,
    RENDER_SCALE,
    RENDERED_SIDE,
    SAMPLE_RATE,
)


def open_files() -> Callable[[Mapping[str, Any], bytes], dict[str, Any]]:
    """A handler of tasks: an action with its file's path and the folder for its output, or with lines."""
    return _handle


def _handle(task: Mapping[str, Any], _: bytes) -> dict[str, Any]:
    if task["action"] == "match":
        return _match(task["schema"], task["lines"])
    path, folder = Path(task["path"]), Path(task["folder"])
    match task["action"]:
        case "inspect":
            return _inspect(path, detect(path, task["content_type"]))
        case "render":
            return {"pages": [_render(path, Kind(task["kind"]), number, folder) for number in task["pages"]]}
        case _:
            return _decode(path, folder)


def _match(schema: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from pipelines.multimodal.filling.fill import fill

    return {"found": {name: asdict(found) for name, found in fill(schema, lines).items()}}


def _inspect(path: Path, kind: Kind) -> dict[str, Any]:
    if kind is Kind.IMAGE:
        with _open_image(path) as image:
            return {"kind": kind, "pages": 1, "width": image.width, "height": image.height}
    if kind is Kind.PDF:
        document = _open_pdf(path)
        if len(document) > PDF_PAGES:
            refuse(f"This PDF has {len(document)} pages, more than {PDF_PAGES}.", "Split it.", code="file_too_large")
        if len(document) == 0:
            refuse("This PDF has no pages.", "Export it again.", code="file_empty")
        return {"kind": kind, "pages": len(document)}
    return {"kind": kind, "pages": 0}


def _open_image(path: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # our own limit refuses with a code of ours
    try:
        image = Image.open(path, formats=("PNG", "JPEG", "WEBP"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        refuse("This image is damaged.", "Save it again.", code="file_corrupt")
    if image.width * image.height > IMAGE_PIXELS or max(image.size) > IMAGE_SIDE:
        refuse(
            f"This image has {image.width} by {image.height} pixels, more than {IMAGE_PIXELS // 10**6} million.",
            "Scale it down.",
            code="file_too_large",
        )
    if getattr(image, "n_frames", 1) > 1:
        refuse("This is an animation.", "Send single images.", code="file_unsupported")
    return image


def _open_pdf(path: Path) -> Any:
    import pypdfium2 as pdfium

    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if "assword" in str(error):
            refuse("This PDF is protected by a password.", "Save it without one.", code="file_encrypted")
        refuse("This PDF is damaged and cannot be opened.", "Export it again.", code="file_corrupt")


def _render(path: Path, kind: Kind, number: int, folder: Path) -> dict[str, Any]:
    target = folder / f"page-{number}.png"
    if kind is Kind.IMAGE:
        return {**_render_image(path, target), "number": number, "file": target.name, "runs": []}
    document = _open_pdf(path)
    page = document[number - 1]
    width, height = page.get_size()
    if not (width > 0 and height > 0):
        refuse(f"Page {number} has no size.", "Export the PDF again.", code="file_corrupt")
    scale = min(RENDER_SCALE, RENDERED_SIDE / max(width, height))
    page.render(scale=scale).to_pil().convert("RGB").save(target)
    return {
        "number": number,
        "file": target.name,
        "width": width,
        "height": height,
        "unit": "points",
        "scale": scale,
        "runs": _runs(page, height),
    }


def _render_image(path: Path, target: Path) -> dict[str, Any]:
    from PIL import ImageOps

    with _open_image(path) as image:
        try:
            image.load()
        except (OSError, ValueError, SyntaxError):
            refuse("This image is damaged or cut off.", "Save it again.", code="file_corrupt")
        upright = ImageOps.exif_transpose(image).convert("RGB")
    width, height = upright.size
    scale = min(1.0, RENDERED_SIDE / max(width, height))
    if scale < 1:
        upright = upright.resize((max(1, round(width * scale)), max(1, round(height * scale))))
    upright.save(target)
    return {"width": float(width), "height": float(height), "unit": "pixels", "scale": scale}


def _runs(page: Any, height: float) -> list[dict[str, Any]]:
    """The page's own text as ``{"text", "box"}``, boxes in points from the top left."""
    text = page.get_textpage()
    found = []
    for index in range(min(text.count_rects(), 20_000)):
        left, bottom, right, top = text.get_rect(index)
        said = " ".join(text.get_text_bounded(left, bottom, right, top).split())
        if said:
            found.append({"text": said, "box": [left, height - top, right, height - bottom]})
    return found


def _decode(path: Path, folder: Path) -> dict[str, Any]:
    import av

    written = 0
    try:
        with av.open(str(path)) as container, (folder / "samples.raw").open("wb") as sink:
            if not container.streams.audio:
                refuse("There is no sound in this file.", "Export it again.", code="file_corrupt")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    sink.write(piece.to_ndarray().tobytes())
                    written += piece.samples
                if written > AUDIO_SECONDS * SAMPLE_RATE:
                    refuse(
                        f"This recording is longer than {AUDIO_SECONDS // 60} minutes.",
                        "Cut it.",
                        code="file_too_large",
                    )
            for piece in resampler.resample(None):
                sink.write(piece.to_ndarray().tobytes())
                written += piece.samples
    except (av.error.FFmpegError, ValueError):
        refuse("This recording is damaged or cut off.", "Export it again.", code="file_corrupt")
    if written == 0:
        refuse("This recording holds no sound.", "Record it again.", code="file_empty")
    return {"file": "samples.raw", "seconds": written / SAMPLE_RATE}
