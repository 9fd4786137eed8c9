"""Speech recognition with the packaged whisper-base: no key, no download. Runs in a warm child."""

import math
from collections.abc import Callable, Mapping
from typing import Any


def open_speech(*, folder: str, threads: int, sample_rate: int) -> Callable[[Mapping[str, Any], bytes], dict[str, Any]]:
    """A handler of 16-bit samples: ``{"lines": [{"text", "span", "confidence", "ends"}]}``, spans in seconds.

    `folder` holds the model.
    """
    import numpy as np
    from faster_whisper import WhisperModel

    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)

    def handle(_: Mapping[str, Any], recording: bytes) -> dict[str, Any]:
        samples = np.frombuffer(recording, dtype=np.int16).astype(np.float32) / 32768
        seconds = len(samples) / sample_rate
        segments, _about = model.transcribe(samples, beam_size=5, condition_on_previous_text=False)
        lines = []
        for segment in segments:
            if said := segment.text.strip():
                span = [round(segment.start, 2), round(min(segment.end, seconds), 2)]
                sure = round(min(1.0, math.exp(segment.avg_logprob)), 3)
                lines.append({"text": said, "span": span, "confidence": sure, "ends": True})
        return {"lines": lines}

    return handle
