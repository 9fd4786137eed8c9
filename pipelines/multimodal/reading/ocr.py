"""Optical character recognition with the models that rapidocr ships: no key, no download. Runs in a warm child."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

_WIDE = 3
_TILT_MAX = 0.2


def open_ocr(*, threads: int) -> Callable[[Mapping[str, Any], bytes], dict[str, Any]]:
    """A handler of a picture's bytes: ``{"pieces": [[text, [left, top, right, bottom], confidence]], "tilt"}``.

    Boxes are in pixels; `tilt` is how many pixels the lines fall for each pixel to the right.
    """
    from rapidocr import RapidOCR

    stop_spinning()
    # Its return type covers each of its stages; all of them together give boxes, texts and scores.
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
            return {"pieces": [], "tilt": 0.0}
        return {
            "pieces": [
                [text.strip(), _upright(box), round(float(score), 3)]
                for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
                if text.strip()
            ],
            "tilt": _tilt(found.boxes),
        }

    return handle


def stop_spinning() -> None:
    """Make the threads of RapidOCR's models, which has no setting for it, sleep between their pieces of work.

    Otherwise they spin meanwhile, which takes about a third of a page's processor time.
    """
    from rapidocr.inference_engine.onnxruntime import main as runtime

    before: Any = vars(runtime)["SessionOptions"]

    class Options(before):  # type: ignore[misc] # onnxruntime has no types
        def __init__(self) -> None:
            super().__init__()
            self.add_session_config_entry("session.intra_op.allow_spinning", "0")

    vars(runtime)["SessionOptions"] = Options


def _tilt(boxes: Any) -> float:
    """The median over the upper edges of pieces that are clearly wider than high; 0 when it is negligible."""
    falls = [
        (right[1] - left[1]) / (right[0] - left[0])
        for left, right, _, lower in boxes
        if right[0] - left[0] > _WIDE * abs(lower[1] - left[1])
    ]
    tilt = float(median(falls)) if falls else 0.0
    return tilt if abs(tilt) < _TILT_MAX else 0.0


def _upright(corners: Any) -> list[float]:
    across, down = [float(corner[0]) for corner in corners], [float(corner[1]) for corner in corners]
    return [min(across), min(down), max(across), max(down)]
