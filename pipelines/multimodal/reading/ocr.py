"""Optical character recognition with the models that rapidocr ships: no key, no download."""

import os
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from pipelines.multimodal.reading.layout import Piece

THREADS = 2
# One page at a time: a second would only wait for the same cores, and hold its tensors meanwhile.
_reading = Lock()


def read_image(path: Path) -> list[Piece]:
    """The pieces of print in the picture at `path`, with boxes in its pixels."""
    with _reading:
        found = _engine(os.getpid())(str(path))
    if found.boxes is None or found.txts is None or found.scores is None:
        return []
    return [
        Piece(text.strip(), _upright(box), round(float(score), 3))
        for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        if text.strip()
    ]


def _upright(corners: Any) -> tuple[float, float, float, float]:
    across, down = [float(corner[0]) for corner in corners], [float(corner[1]) for corner in corners]
    return min(across), min(down), max(across), max(down)


@lru_cache(maxsize=1)
def _engine(_process_id: int) -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
