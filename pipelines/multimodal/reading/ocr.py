"""Optical character recognition with the models that rapidocr ships: no key, no download. Runs in a warm child."""

from collections.abc import Callable, Mapping
from typing import Any


def open_ocr(*, threads: int) -> Callable[[Mapping[str, Any], bytes], dict[str, Any]]:
    """A handler of a picture's bytes: ``{"pieces": [[text, [left, top, right, bottom], confidence]]}``, in pixels."""
    from rapidocr import RapidOCR

    # Its return type is that of any of its stages; all of them together give boxes, texts and scores.
    engine: Any = RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )

    def handle(_: Mapping[str, Any], picture: bytes) -> dict[str, Any]:
        found = engine(picture)
        if found.boxes is None or found.txts is None or found.scores is None:
            return {"pieces": []}
        return {
            "pieces": [
                [text.strip(), _upright(box), round(float(score), 3)]
                for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
                if text.strip()
            ]
        }

    return handle


def _upright(corners: Any) -> list[float]:
    across, down = [float(corner[0]) for corner in corners], [float(corner[1]) for corner in corners]
    return [min(across), min(down), max(across), max(down)]
