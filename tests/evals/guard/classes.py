"""``python -m tests.evals.guard.classes``: which texts get the class of a policy's examples, and which get it wrongly.

The examples are 20 texts on five topics. ``version``: another case of the same form, in much the same terms: by itself,
as a paragraph of a document, and in one without paragraphs (``run on``). ``topic``: the same topic, and another text.
``near``: words of the topic, nothing to protect. ``corpus``: the paragraphs of the samples.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from core.gateway.embeddings.cache import RecentVectors
from core.gateway.embeddings.minilm import load_minilm
from core.guard.examples import Embed, ExampleClasses, pieces_of
from core.guard.policy import DEFAULT_SIMILARITY, CombinedPolicy, Example, GuardPolicy
from tests.evals.guard.sets import paragraphs
from tests.evals.scores import Row, missed

TEXTS = Path(__file__).with_name("classes.jsonl")
CORPUS = Path(__file__).parents[3] / "samples" / "sources"
SIMILARITIES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
FALSE = ("near", "corpus")
MARKED = ("version", *FALSE)
MIN_RECALL, MAX_FALSE = 0.8, 0.05
Sets = Mapping[str, Sequence[str]]


def read() -> tuple[tuple[Example, ...], Sets]:
    """The examples, and the sets by name."""
    rows = [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    chosen = [row for row in rows if row["role"] == "example"]
    examples = tuple(Example(text=row["text"], data_class=row["data_class"]) for row in chosen)
    version, topic, near = (
        [row["text"] for row in rows if row["role"] == role] for role in ("version", "topic", "unlike")
    )
    corpus = [part for path in sorted(CORPUS.glob("*/*.md")) for part in paragraphs(path)]
    amid = list(_amid(version, corpus))
    run_on = [" ".join(text.split()) for text in amid]
    return examples, {
        "version": version,
        "in a document": amid,
        "run on": run_on,
        "topic": topic,
        "near": near,
        "corpus": corpus,
    }


def _amid(texts: Sequence[str], corpus: Sequence[str]) -> Iterator[str]:
    """Each text in the middle of four paragraphs of the corpus that follow each other."""
    step = len(corpus) // len(texts)
    for number, text in enumerate(texts):
        around = corpus[number * step : number * step + 4]
        yield "\n\n".join((*around[:2], text, *around[2:]))


def raised(examples: Sequence[Example], texts: Sequence[str], similarity: float, embed: Embed) -> list[str]:
    """Those of `texts` that get a class from the examples."""
    classes = ExampleClasses(embed)
    policy = CombinedPolicy([GuardPolicy(examples=tuple(examples), example_similarity=similarity)])
    return [text for text in texts if classes.highest(policy, [text]) is not None]


def measure() -> list[Row]:
    """Print a line for each similarity, and return what the page shows: the shares at the default one."""
    examples, sets = read()
    embed = RecentVectors(load_minilm()).embed
    names = [f"{name} ({len(texts)})" for name, texts in sets.items()]
    sys.stdout.write(f"| similarity | {' | '.join(names)} |\n|{'---:|' * (len(names) + 1)}\n")
    rows: list[Row] = []
    for similarity in SIMILARITIES:
        found = {name: raised(examples, texts, similarity, embed) for name, texts in sets.items()}
        shares = {name: len(found[name]) / len(texts) for name, texts in sets.items()}
        sys.stdout.write(f"| {similarity} | {' | '.join(f'{share:.0%}' for share in shares.values())} |\n")
        if similarity == DEFAULT_SIMILARITY:
            rows = [row_of(name, len(sets[name]), share) for name, share in shares.items()]
            if "--wrong" in sys.argv:
                wrong = [(name, text) for name in FALSE for text in found[name]]
                sys.stdout.writelines(f"  wrong, {name}: {text[:150]!r}\n" for name, text in wrong)
    _print_cost(sets["corpus"])
    return rows


def row_of(name: str, count: int, share: float) -> Row:
    """What the page shows of a set of which `share` got a class."""
    group = f"classes by example: {name}"
    if name in FALSE:
        return Row(group, "looked at", "without a class", count, 1 - share, mark=1 - MAX_FALSE)
    return Row(group, "looked at", "with the class", count, share, mark=MIN_RECALL if name == "version" else None)


def _print_cost(texts: Sequence[str]) -> None:
    pieces, begun = [piece for text in texts for piece in pieces_of(text)], time.process_time()
    load_minilm().embed(pieces)
    milliseconds = (time.process_time() - begun) * 1000
    sys.stdout.write(f"{milliseconds / len(pieces):.1f} ms a piece, ")
    sys.stdout.write(f"{milliseconds / (sum(map(len, texts)) / 1024):.0f} ms/KB of processor time\n")


if __name__ == "__main__":
    sys.exit(int(bool(missed(measure()))))
