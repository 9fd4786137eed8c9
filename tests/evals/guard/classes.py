"""``python -m tests.evals.guard.classes``: which texts get the class of a policy's examples, and which get it wrongly.

The examples are 20 texts on five topics. Those that should get their class are worded otherwise and are scored as they
are and in the midst of a document; those that should not are near in topic, or paragraphs of the sample corpus.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from core.gateway.embeddings.cache import RecentVectors
from core.gateway.embeddings.minilm import load_minilm
from core.guard.examples import ExampleClasses
from core.guard.policy import DEFAULT_SIMILARITY, CombinedPolicy, Example, GuardPolicy
from tests.evals.guard.sets import paragraphs

TEXTS = Path(__file__).with_name("classes.jsonl")
CORPUS = Path(__file__).parents[3] / "samples" / "sources"
SIMILARITIES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
MIN_RECALL, MAX_FALSE = 0.5, 0.05
Sets = Mapping[str, Sequence[str]]


def read() -> tuple[tuple[Example, ...], Sets]:
    """The examples, and the sets by name."""
    rows = [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    chosen = [row for row in rows if row["role"] == "example"]
    examples = tuple(Example(text=row["text"], data_class=row["data_class"]) for row in chosen)
    like, unlike = ([row["text"] for row in rows if row["role"] == role] for role in ("like", "unlike"))
    corpus = [part for path in sorted(CORPUS.glob("*/*.md")) for part in paragraphs(path)]
    return examples, {"like": like, "like, in a document": list(_amid(like, corpus)), "near": unlike, "corpus": corpus}


def _amid(texts: Sequence[str], corpus: Sequence[str]) -> Iterator[str]:
    """Each text in the middle of four paragraphs of the corpus that follow each other."""
    step = len(corpus) // len(texts)
    for number, text in enumerate(texts):
        around = corpus[number * step : number * step + 4]
        yield "\n\n".join((*around[:2], text, *around[2:]))


def raised(classes: ExampleClasses, examples: tuple[Example, ...], texts: Sequence[str], similarity: float) -> list[str]:
    """Those of `texts` that get a class from the examples."""
    policy = CombinedPolicy([GuardPolicy(examples=examples, example_similarity=similarity)])
    return [text for text in texts if classes.highest(policy, [text]) is not None]


def main() -> int:
    """Print a line for each similarity; 1 when the default misses a mark."""
    examples, sets = read()
    classes = ExampleClasses(RecentVectors(load_minilm()).embed)
    names = [f"{name} ({len(texts)})" for name, texts in sets.items()]
    sys.stdout.write(f"| similarity | {' | '.join(names)} |\n|{'---:|' * (len(names) + 1)}\n")
    shares: dict[float, dict[str, float]] = {}
    for similarity in SIMILARITIES:
        found = {name: raised(classes, examples, texts, similarity) for name, texts in sets.items()}
        shares[similarity] = {name: len(found[name]) / len(texts) for name, texts in sets.items()}
        cells = " | ".join(f"{share:.1%}".replace("%", " %") for share in shares[similarity].values())
        sys.stdout.write(f"| {similarity} | {cells} |\n")
        if similarity == DEFAULT_SIMILARITY and "--wrong" in sys.argv:
            for name in ("near", "corpus"):
                sys.stdout.writelines(f"  wrong, {name}: {text[:150]!r}\n" for text in found[name])
    at_default = shares[DEFAULT_SIMILARITY]
    is_good = at_default["like"] >= MIN_RECALL and max(at_default["near"], at_default["corpus"]) <= MAX_FALSE
    return int(not is_good)


if __name__ == "__main__":
    sys.exit(main())
