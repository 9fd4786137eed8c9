"""Trains the reader of requests: ``python -m tests.evals.customer_operations.training.train [--hold AUTHOR ...]``.

Needs ``jax``, ``optax`` and ``onnx`` beside what a worker needs, in an environment of its own, and half an hour on two
cores. ``messages.jsonl`` is by authors who had seen neither the evaluation's messages nor any rules, each message with
what it asks for and in which manner it speaks. The weights are the average of several trainings from the same start
(Wortsman et al. 2022, arXiv:2203.05482), which errs less than any of them and costs no more to run. The evaluation's
older splits are learned, too; what is left to score are half of "blind", all of "fresh", "registers" and
``readings.jsonl``. Author 26 had seen what went wrong in the open half of "registers". Some messages more are learned
with `--further --epochs 2 --seeds 0`, in a fifth of the time. What is held back is scored and not learned; without
`--hold` the weights are written to the product.
"""

import argparse
import json
import random
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from core.gateway.embeddings.minilm import MAX_TOKENS, load_tokenizer, model_file
from core.gateway.embeddings.tuning import with_weights
from pipelines.customer_operations.consent import reader
from pipelines.customer_operations.consent.judgment import OPERATIONS
from pipelines.customer_operations.consent.own_words import own_text, unnumbered
from pipelines.customer_operations.consent.reader import Action, Manner
from pipelines.customer_operations.policies.tables import load_policy
from tests.evals.customer_operations.requests import is_learned, read_requests
from tests.evals.customer_operations.training import FOLDER
from tests.evals.customer_operations.training.encoder import LAYERS, Stored, drop, embed, run_layer

WEIGHTS = Path(reader.__file__).with_name("requests.npz")
EPOCHS = 6
SEEDS = (0, 1)
BATCH = 32
LEARNING_RATE = 2e-4
TRAINED_LAYERS = 4
# Texts are padded to one of these, as every other width has to be compiled.
WIDTHS = (16, 24, 32, 48, 64, 96, 128, 192, MAX_TOKENS)
MANNER_WEIGHT = 0.3
# How often a message stands in a frame that makes it none, or in one that changes nothing.
TURNED, FRAMED = 0.2, 0.3


@dataclass(frozen=True, slots=True)
class Message:
    """`asks` and `known` are of each action in the order of `Action`; what is not known is not learned.

    `manner` is -1 where it is not known, and `author` is 0 for the evaluation's.
    """

    text: str
    asks: tuple[int, ...]
    known: tuple[int, ...]
    manner: int
    author: int


def read_messages() -> list[Message]:
    """The messages as the reader sees them."""
    pattern = load_policy().order_pattern
    read = [json.loads(line) for line in (FOLDER / "messages.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        Message(
            unnumbered(own_text(each["message"]), pattern),
            tuple(int(action.value in each["asks"]) for action in Action),
            (1,) * len(Action),
            list(Manner).index(Manner(each["manner"])),
            each["author"],
        )
        for each in read
    ]


def read_learned() -> list[Message]:
    """What is learned of the evaluation's messages."""
    pattern = load_policy().order_pattern
    return [
        _learned(unnumbered(own_text(each["message"]), pattern), each) for each in read_requests() if is_learned(each)
    ]


def _learned(text: str, row: Mapping[str, Any]) -> Message:
    asked = {OPERATIONS[action.partition(" ")[0]] for action in row["actions"]}
    # What comes of a request without being asked for is not known: money with a cancellation, a ticket with money.
    unknown = {Action.REFUND} if Action.CANCEL in asked else {Action.REPORT} if Action.REFUND in asked else set()
    manner = (
        Manner.REQUEST
        if asked
        else {"third": "third_party", "quoted": "third_party", "complaint": "content"}.get(row["kind"], row["kind"])
    )
    return Message(
        text,
        tuple(int(action in asked) for action in Action),
        tuple(int(action not in unknown) for action in Action),
        list(Manner).index(Manner(manner)) if manner in set(Manner) else -1,
        0,
    )


class Frames:
    """Varies messages: other sentences around them, other spelling."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        read = tomllib.loads((FOLDER / "frames.toml").read_text(encoding="utf-8"))
        self._neutral = read["neutral"]
        self._turning = [
            (place, manner, frame)
            for place in ("after", "before")
            for manner, frames in read[place].items()
            for frame in frames
        ]

    def vary(self, message: Message) -> Message:
        """The message, or another that is made of it."""
        chance = self._random.random()
        if any(message.asks) and chance < TURNED:
            place, manner, frame = self._random.choice(self._turning)
            text = _joined(place, frame, message.text)
            # That something is wrong may still be so.
            none, known = (0,) * len(Action), tuple(int(action is not Action.REPORT) for action in Action)
            message = replace(message, text=text, asks=none, known=known, manner=list(Manner).index(Manner(manner)))
        elif chance > 1 - FRAMED:
            place = self._random.choice(("after", "before"))
            message = replace(message, text=_joined(place, self._random.choice(self._neutral[place]), message.text))
        return replace(message, text=self._spelled(message.text))

    def _spelled(self, text: str) -> str:
        chance = self._random.random()
        if chance < 0.15:
            text = text.lower()
        elif chance < 0.2:
            text = text.upper()
        chance = self._random.random()
        if chance < 0.08:
            text = text.translate(str.maketrans("", "", ".,?"))
        elif chance < 0.15:
            text = text.rstrip(".!")
        if self._random.random() < 0.15 and len(text) > 12:
            for _ in range(1 + len(text) // 80):
                at = self._random.randrange(len(text) - 1)
                swapped = text[at + 1] + text[at] if self._random.random() < 0.5 else text[at + 1]
                text = text[:at] + swapped + text[at + 2 :]
        return text

    def shuffled(self, batches: list[Any]) -> list[Any]:
        """In another order."""
        return self._random.sample(batches, len(batches))


def batches(messages: Sequence[Message]) -> Iterator[tuple[list[int], Any, Any]]:
    """Numbers of messages of like length, their token ids and the mask."""
    encodings = load_tokenizer().encode_batch([message.text for message in messages])
    by_length = sorted(range(len(messages)), key=lambda number: len(encodings[number].ids))
    for begin in range(0, len(by_length), BATCH):
        numbers = by_length[begin : begin + BATCH]
        width = next(width for width in WIDTHS if width >= len(encodings[numbers[-1]].ids))
        ids, mask = np.zeros((len(numbers), width), np.int32), np.zeros((len(numbers), width), np.float32)
        for row, number in enumerate(numbers):
            tokens = encodings[number].ids
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        yield numbers, ids, mask


def forward(fixed: Any, trained: Any, ids: Any, mask: Any, key: Any = None) -> tuple[Any, Any]:
    """The scores of actions and manners."""
    keys = [None] * (TRAINED_LAYERS + 1) if key is None else jax.random.split(key, TRAINED_LAYERS + 1)
    states = embed(fixed, ids)
    for layer in fixed["layers"][: LAYERS - TRAINED_LAYERS]:
        states = run_layer(layer, states, mask)
    states = jax.lax.stop_gradient(states)
    for layer, of_layer in zip(trained["layers"], keys[1:], strict=True):
        states = run_layer(layer, states, mask, of_layer)
    mean = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1)[:, None]
    features = drop(jnp.concatenate([mean, states[:, 0]], axis=-1), keys[0])
    return tuple(features @ trained[f"{head}_weight"] + trained[f"{head}_bias"] for head in ("asks", "manners"))


def loss(trained: Any, fixed: Any, batch: tuple[Any, ...], key: Any) -> Any:
    """What a batch still gets wrong."""
    ids, mask, asks, known, manners = batch
    ask_scores, manner_scores = forward(fixed, trained, ids, mask, key)
    of_asks = (optax.sigmoid_binary_cross_entropy(ask_scores, asks) * known).sum() / known.sum()
    of_manners = optax.softmax_cross_entropy_with_integer_labels(manner_scores, jnp.maximum(manners, 0))
    return of_asks + MANNER_WEIGHT * (of_manners * (manners >= 0)).mean()


def train(fixed: Any, messages: Sequence[Message], seed: int, *, heads: Mapping[str, Any] | None, epochs: int) -> Any:
    """The trained layers and heads. The heads of all seeds start alike: what is averaged must lie side by side.

    `heads` are those to go on from; None begins with new ones.
    """
    key, frames = jax.random.PRNGKey(0), Frames(seed)
    width = 2 * fixed["word"].shape[1]
    trained = {"layers": fixed["layers"][LAYERS - TRAINED_LAYERS :], **(heads or {})}
    for head, outputs in {} if heads else {"asks": len(Action), "manners": len(Manner)}.items():
        key, of_head = jax.random.split(key)
        trained[f"{head}_weight"] = jax.random.normal(of_head, (width, outputs)) * 0.02
        trained[f"{head}_bias"] = jnp.zeros(outputs)
    key = jax.random.fold_in(key, seed)
    steps = epochs * (len(messages) // BATCH)
    highest = LEARNING_RATE if heads is None else LEARNING_RATE / 4
    rate = optax.warmup_cosine_decay_schedule(0, highest, steps // 10, steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=0.01))
    state = optimizer.init(trained)

    def step(trained: Any, state: Any, batch: tuple[Any, ...], key: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(trained, fixed, batch, key)
        updates, state = optimizer.update(gradient, state, trained)
        return optax.apply_updates(trained, updates), state, value

    step, begun = jax.jit(step), time.monotonic()
    for epoch in range(epochs):
        varied, values = [frames.vary(message) for message in messages], []
        for numbers, ids, mask in frames.shuffled(list(batches(varied))):
            if len(numbers) < BATCH:
                continue
            key, of_step = jax.random.split(key)
            rows = [varied[number] for number in numbers]
            asks, known = (np.array([getattr(row, name) for row in rows], np.float32) for name in ("asks", "known"))
            manners = np.array([row.manner for row in rows])
            trained, state, value = step(trained, state, (ids, mask, asks, known, manners), of_step)
            values.append(float(value))
        sys.stdout.write(f"epoch {epoch + 1} of {epochs}: {np.mean(values):.3f}, {time.monotonic() - begun:.0f} s\n")
        sys.stdout.flush()
    return trained


def report(fixed: Any, trained: Any, held: Sequence[Message]) -> None:
    """Of what was held back: how much is taken for a request wrongly, and how many requests are found."""
    predict, found = jax.jit(partial(forward, fixed)), np.zeros((len(held), len(Action)))
    for numbers, ids, mask in batches(held):
        found[numbers] = jax.nn.sigmoid(predict(trained, ids, mask)[0])
    asked, moving = np.array([message.asks for message in held]), slice(0, len(Action) - 1)
    for bar in (0.5, 0.9, 0.97):
        taken = found[:, moving] >= bar
        wrong = (taken & (asked[:, moving] == 0)).any(axis=1).sum()
        asking = asked[:, moving].any(axis=1)
        done = ((taken == asked[:, moving]).all(axis=1) & asking).sum() / max(asking.sum(), 1)
        sys.stdout.write(f"bar {bar}: {wrong} of {len(held)} taken wrongly, {done:.3f} of {asking.sum()} found\n")


def write(stored: Stored, trained: Any) -> None:
    """What the training changed, as the product reads it."""
    changed: dict[str, Any] = {name: np.asarray(trained[name]) for name in trained if name != "layers"}
    for number, layer in enumerate(trained["layers"], LAYERS - TRAINED_LAYERS):
        changed |= dict(stored.changed(number, layer))
    np.savez_compressed(WEIGHTS, **changed)


def read_product() -> tuple[Any, Mapping[str, Any]]:
    """The weights as the product has them: those of the encoder, and the heads."""
    with np.load(WEIGHTS) as stored:
        weights = {name: stored[name] for name in stored.files}
    heads = {name: jnp.asarray(weights.pop(name)) for name in list(weights) if name.startswith(("asks_", "manners_"))}
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(with_weights(model_file(), weights))
        file.flush()
        return Stored(Path(file.name)).weights(), heads


def main() -> None:
    """Train, and either score or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hold", type=int, nargs="*", default=[], help="authors to score instead of learning from")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="a training each, to be averaged")
    parser.add_argument("--further", action="store_true", help="go on from the product's weights, at a lower rate")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    asked = parser.parse_args()
    messages, stored = [*read_messages(), *read_learned()], Stored(model_file())
    fixed, heads = read_product() if asked.further else (stored.weights(), None)
    learned = [each for each in messages if each.author not in asked.hold]
    trainings = [train(fixed, learned, seed, heads=heads, epochs=asked.epochs) for seed in asked.seeds]
    begun = {"layers": fixed["layers"][LAYERS - TRAINED_LAYERS :], **(heads or {})}
    # What goes on from the product's weights is averaged with them, so that nothing is lost that they find.
    averaged = [*trainings, begun] if asked.further else trainings
    trained = jax.tree.map(lambda *weights: sum(weights) / len(weights), *averaged)
    if asked.hold:
        report(fixed, trained, [each for each in messages if each.author in asked.hold])
    else:
        write(stored, trained)


def _joined(place: str, frame: str, text: str) -> str:
    if place == "before":
        return f"{frame} {text}"
    return f"{text}{'' if text[-1:] in '.!?' else '.'} {frame}"


if __name__ == "__main__":
    main()
