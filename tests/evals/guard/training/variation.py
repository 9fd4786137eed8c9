"""Variants of our own texts: other words of the same meaning, other spelling, an attack among harmless sentences."""

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.evals.guard.training import FOLDER
from waybill.evals.guard.injections import Sample

# One of each group may stand for another, in attacks as in harmless texts: the words themselves prove nothing.
GROUPS = (
    (
        "password",
        "passcode",
        "access code",
        "secret code",
        "passphrase",
        "secret word",
        "code word",
        "secret key",
        "PIN",
        "flag",
    ),
    ("instructions", "rules", "guidelines", "directives", "orders", "directions", "policies"),
    ("ignore", "disregard", "forget", "skip", "override", "bypass", "drop", "set aside"),
    ("previous", "prior", "earlier", "above", "preceding", "past"),
    ("reveal", "show", "print", "tell me", "output", "give me", "write", "repeat", "display", "share"),
    ("restrictions", "limits", "limitations", "filters", "constraints", "guardrails", "boundaries"),
    ("Access Granted", "access granted", "ACCESS GRANTED", "Access granted."),
    ("system prompt", "initial prompt", "system message", "developer message", "initial instructions", "prompt"),
    ("DAN", "VOID", "CALIBAN", "ZERO", "STAN", "AIM", "Max", "Omega", "TWIN", "BOLT", "Corvus", "Eve", "Nemo"),
    ("illegal", "unethical", "immoral", "forbidden", "dangerous", "harmful", "banned"),
    ("act as", "pretend to be", "play the role of", "behave like", "roleplay as", "become"),
)
_SWAP = 0.5


def swapped(text: str, chance: random.Random) -> str:
    """The text with some words changed for others of their group."""
    for group in GROUPS:
        for word in group:
            if word in text and chance.random() < _SWAP:
                text = text.replace(word, chance.choice(group), 1)
                break
    return text


def spelled(text: str, chance: random.Random) -> str:
    """The text in another case, without its marks, or with a slip."""
    drawn = chance.random()
    if drawn < 0.2:
        text = text.lower()
    elif drawn < 0.3:
        text = text.upper()
    if chance.random() < 0.2:
        text = text.rstrip(".!?")
    if chance.random() < 0.15 and len(text) > 12:
        at = chance.randrange(len(text) - 1)
        text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text


def variants(samples: Sequence[Sample], times: int, seed: int) -> Iterator[Sample]:
    """`times` variants of each text; none that is as it was."""
    for each in samples:
        chance = random.Random(f"{seed} {each.text}")
        for text in {spelled(swapped(each.text, chance), chance) for _ in range(times)} - {each.text}:
            yield replace(each, text=text)


def buried(samples: Sequence[Sample], count: int, seed: int) -> Iterator[Sample]:
    """Attacks before, after or between harmless sentences, and as many harmless texts that are put together alike."""
    chance = random.Random(seed)
    short = [each for each in samples if len(each.text) < 300]
    attacks, harmless = [[each for each in short if each.is_attack is wanted] for wanted in (True, False)]
    for _ in range(count):
        for core in (chance.choice(attacks), chance.choice(harmless)):
            around = [chance.choice(harmless).text for _ in range(chance.choice((1, 1, 2, 3, 6)))]
            around.insert(chance.randrange(len(around) + 1), core.text)
            text = chance.choice((" ", "\n", "\n\n")).join(around)
            yield replace(core, text=text)


def framed(count: int, seed: int) -> Iterator[Sample]:
    """Long prompts that give the model a role, as many harmless ones as jailbreaks."""
    chance = random.Random(seed)
    for kind, frames in tomllib.loads((FOLDER / "frames.toml").read_text(encoding="utf-8")).items():
        for _ in range(count):
            middle = chance.sample(frames["middle"], chance.randint(1, 8))
            text = " ".join([chance.choice(frames["opening"]), *middle, chance.choice(frames["end"])])
            text = text.replace("{name}", chance.choice(frames["names"])).replace(
                "{role}", chance.choice(frames["roles"])
            )
            yield Sample(text, kind == "attacks", "framed")
