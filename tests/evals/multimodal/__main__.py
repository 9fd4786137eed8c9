"""``python -m tests.evals.multimodal [--data DIR]``: documents into data, on the embedded models.

34 items that a script draws: a filled property counts when its value is the true one, a list when every row is; an
answer counts when it holds the expected words. With ``--data DIR`` or ``WAYBILL_EVALS_DATA`` also the photographed
receipts in ``DIR/receipts`` (`tests.evals.multimodal.receipts`). ``--speak`` makes the recordings again (needs
espeak-ng). Exit code 1 below a mark.
"""

import argparse
import os
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.gateway.service import open_gateway
from core.kit.settings import Settings
from pipelines.multimodal.graph import build_with
from pipelines.multimodal.schemas import UnderstandInput, UnderstandOutput
from tests.evals.multimodal import receipts
from tests.evals.multimodal.items import CLIPS, SPOKEN, Item, make_items
from tests.evals.scores import Row, publish
from tests.factories.context import RecordingContext
from tests.factories.files import upload
from tests.factories.paper import say

MARK = 0.85
WITHHELD_MARK = 0.9


def main() -> int:
    """Run everything, print it, and publish its rows."""
    parser = argparse.ArgumentParser(prog="tests.evals.multimodal")
    parser.add_argument("--data", default=os.environ.get("WAYBILL_EVALS_DATA"), help="a folder with receipts/")
    parser.add_argument("--speak", action="store_true", help="make the recordings again")
    given = parser.parse_args()
    if given.speak:
        CLIPS.mkdir(exist_ok=True)
        for name, sentence, _, _ in SPOKEN:
            say(sentence, CLIPS / f"{name}.ogg")
    rows = _drawn()
    if given.data is not None:
        rows += _receipts(Path(given.data) / "receipts")
    publish("multimodal", rows)
    for row in rows:
        sys.stdout.write(f"{row.group:<34}{row.split:<17}{row.measure:<22}{row.n:>5}  {row.score:.3f}")
        sys.stdout.write(f"  (before {row.baseline:.3f})\n" if row.baseline is not None else "\n")
    return int(any(row.mark is not None and row.score < row.mark for row in rows))


def _receipts(folder: Path) -> list[Row]:
    scored = receipts.score(folder)
    rows = []
    for (split, name), marks in scored.right.items():
        before = receipts.BEFORE[name][split == "never looked at"]
        share = sum(marks) / len(marks)
        # Of a handful, one decides: that is no mark.
        mark = receipts.AIMS[name] if len(marks) >= receipts.ENOUGH else None
        rows.append(Row("SROIE receipts", split, name, len(marks), share, before, "rules before", mark))
        exact = scored.exact[split, name]
        if name in {"company", "address"}:
            rows.append(Row("SROIE receipts", split, f"{name}, exact", len(exact), sum(exact) / len(exact)))
    for name, marks in scored.written.items():
        rows.append(Row("bills of ten countries", "looked at", name, len(marks), sum(marks) / len(marks), mark=MARK))
    for (split, name), marks in scored.withheld.items():
        rows.append(Row(name, split, "null", len(marks), sum(marks) / len(marks), mark=WITHHELD_MARK))
    for split, sure in scored.sure.items():
        for name, n, said, right in receipts.reliability(sure):
            rows.append(Row("confidence of these values", split, f"{name}, {said:.2f} on average", n, right))
    return rows


def _drawn() -> list[Row]:
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
    rows = [
        Row(f"drawn {group}", "looked at", "right", len(found), sum(found) / len(found))
        for group, found in right.items()
    ]
    return [*rows, Row("drawn, all", "looked at", "right", len(every), sum(every) / len(every), mark=MARK)]


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
