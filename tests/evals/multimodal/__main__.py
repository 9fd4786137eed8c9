"""``python -m tests.evals.multimodal``: 34 items on the embedded models; exit code 1 below the mark.

A filled property counts when its value is the true one, a list when every row is; an answer counts when it holds the
expected words. ``--speak`` makes the recordings anew (needs espeak-ng).
"""

import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.gateway.service import open_gateway
from core.kit.settings import Settings
from pipelines.multimodal.graph import build_with
from pipelines.multimodal.schemas import UnderstandInput, UnderstandOutput
from tests.evals.multimodal.items import CLIPS, SPOKEN, Item, make_items
from tests.factories.context import RecordingContext
from tests.factories.files import upload
from tests.factories.paper import say

MARK = 0.85


def main() -> int:
    """Run every item and print the share that is right, by group and in all."""
    if "--speak" in sys.argv:
        CLIPS.mkdir(exist_ok=True)
        for name, sentence, _, _ in SPOKEN:
            say(sentence, CLIPS / f"{name}.ogg")
    right: dict[str, list[bool]] = defaultdict(list)
    gateway = open_gateway(Settings())
    runner = build_with(gateway)
    with TemporaryDirectory() as folder:
        for item in make_items(Path(folder)):
            ctx = RecordingContext(capability="multimodal.understand")
            asked = UnderstandInput(files=[upload(ctx, item.path)], question=item.question, fill=item.fill)
            output = runner.run(ctx, asked)
            marks = judge(item, output)
            right[item.group].extend(marks.values())
            for name, is_right in marks.items():
                if not is_right:
                    said = output.answer if item.fill is None else (output.data or {}).get(name)
                    sys.stdout.write(f"  {item.path.name}: {name} is {item.truth[name]!r}, not {said!r}\n")
    gateway.close()
    every = [mark for found in right.values() for mark in found]
    for group, found in right.items():
        sys.stdout.write(f"{group:<12}{sum(found):>4} of {len(found):<4}{sum(found) / len(found):.3f}\n")
    score = sum(every) / len(every)
    sys.stdout.write(f"{'all':<12}{sum(every):>4} of {len(every):<4}{score:.3f}  (mark {MARK})\n")
    return int(score < MARK)


def judge(item: Item, output: UnderstandOutput) -> dict[str, bool]:
    """For each thing that is asked, whether it is right."""
    if item.fill is None:
        return {"answer": str(item.truth["answer"]).lower() in (output.answer or "").lower() and bool(output.regions)}
    return {name: _same(value, (output.data or {}).get(name)) for name, value in item.truth.items()}


def _same(true: Any, said: Any) -> bool:
    if isinstance(true, str):
        return isinstance(said, str) and " ".join(true.lower().split()) == " ".join(said.lower().split())
    return bool(true == said)


if __name__ == "__main__":
    sys.exit(main())
