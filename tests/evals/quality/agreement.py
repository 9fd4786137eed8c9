"""How far what is known without a model, and a judge if there is one, agree with a person about 100 answers.

    python -m tests.evals.quality.agreement [--model NAME]

``answers.jsonl`` holds 25 questions about the sample documents with four answers each, written and labeled by hand,
half of them good: right ones, some of them in other words or with a quote that only half fits, wrong ones with quotes
that do stand in the document, invented quotes, and abstentions, of which some are right. Without a model, an answer
counts as good when its quotes stand in the document, or when there is neither quote nor answer.

With ``--model`` a running Waybill (``WAYBILL_URL``, ``WAYBILL_API_KEY``) asks that model to judge, as ``waybill quality
judge`` does. None comes with Waybill that can: the embedded models copy sentences.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.quality.statistics.kappa import cohens_kappa
from tests.evals.scores import Row
from tests.factories.processes import ROOT
from waybill.client import WaybillClient
from waybill.regression.judge import point, verdict_of

CASES = Path(__file__).with_name("answers.jsonl")
_RUBRIC = (
    "You judge answers to questions about a document. An answer is good when the document supports all of it and it"
    " answers the question, or when it says that the document does not answer and that is so. Else it is bad. How it is"
    " worded does not matter."
)
Case = Mapping[str, Any]


def main() -> int:
    """Print how far each agrees."""
    parser = argparse.ArgumentParser(prog="tests.evals.quality.agreement")
    parser.add_argument("--model", help="a model, or alias, of a running Waybill that is to judge")
    given = parser.parse_args()
    cases = read()
    labels = [case["label"] for case in cases]
    _say(f"{len(cases)} answers, {labels.count('good')} of them good")
    for name, opinion in without_a_model(cases).items():
        _say(f"{name}: {_words(labels, opinion)}")
    if given.model is None:
        _say("judge: none was asked (--model)")
        return 0
    said = _judge(cases, given.model)
    _say(f"judge {given.model}, without a verdict on {said.count(None)}: {_words(labels, said)}")
    return 0


def read() -> list[Case]:
    """The labeled answers."""
    return [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


def without_a_model(cases: Sequence[Case]) -> dict[str, list[str | None]]:
    """What the signals of a result say of each answer."""
    verified = [_verified(case) for case in cases]
    return {
        "quotes_verified": [None if share is None else _verdict(share == 1) for share in verified],
        "abstained": [_verdict(case["answer"] is not None) for case in cases],
        "both": [
            _verdict(share == 1 if share is not None else case["answer"] is None)
            for case, share in zip(cases, verified, strict=True)
        ],
    }


def rows_of(cases: Sequence[Case], judge: tuple[str, Sequence[str | None]] | None = None) -> Iterator[Row]:
    """How far each opinion, and the judge's of this name, agrees: for the page of scores."""
    labels = [case["label"] for case in cases]
    opinions: dict[str, Sequence[str | None]] = dict(without_a_model(cases))
    if judge is not None:
        opinions[f"judge {judge[0]}"] = judge[1]
    for name, opinion in opinions.items():
        pairs = [(label, said) for label, said in zip(labels, opinion, strict=True) if said is not None]
        share, kappa, _, _ = cohens_kappa(pairs)
        measure = f"agrees with a person: {name}" + ("" if kappa is None else f" (kappa {kappa:.2f})")
        good = sum(label == "good" for label, _ in pairs) / len(pairs)
        yield Row("100 labeled answers", "looked at", measure, len(pairs), share, good, "all called good")


def _verified(case: Case) -> float | None:
    text = " ".join((ROOT / "samples" / "corpus" / case["document"]).read_text(encoding="utf-8").split())
    quotes = case["quotes"]
    return sum(" ".join(quote.split()) in text for quote in quotes) / len(quotes) if quotes else None


def _verdict(is_good: bool) -> str:
    return "good" if is_good else "bad"


def _judge(cases: Sequence[Case], model: str) -> list[str | None]:
    lines = []
    for number, case in enumerate(cases):
        document = (ROOT / "samples" / "corpus" / case["document"]).read_text(encoding="utf-8")
        shown = {"question": case["question"], "document": document}
        asked = point(model, _RUBRIC, shown, {"answer": case["answer"]})
        lines.append({"custom_id": str(number), "capability": "models.chat", "input": asked})
    with WaybillClient.from_environment() as client:
        batch = client.batches.create(lines, priority="low")
        client.batches.wait(batch.id)
        answers = {each.custom_id: each.result for each in client.batches.results(batch.id)}
    said = (verdict_of(answers.get(str(number))) for number in range(len(cases)))
    return [None if each is None else each[0] for each in said]


def _words(labels: Sequence[str], opinion: Sequence[str | None]) -> str:
    pairs = [(label, said) for label, said in zip(labels, opinion, strict=True) if said is not None]
    if not pairs:
        return "no opinion"
    share, kappa, low, high = cohens_kappa(pairs)
    bounds = "" if kappa is None else f", kappa {kappa:.2f} ({low:.2f} to {high:.2f})"
    return f"agrees on {share:.0%} of {len(pairs)}{bounds}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
