"""What a JSON text holds is counted before it is parsed, and counted right."""

import json
import random

import orjson
import pytest

from api import json_shape
from api.bodies import parse_json
from api.json_shape import CONTAINERS_MAX, MAX_DEPTH, VALUES_MAX, require_bounded
from core.kit.errors import BadRequest, PayloadTooLarge

MEGABYTES_4 = 4 * 1024 * 1024


def filled(item: bytes) -> bytes:
    return b"[" + b",".join([item] * (MEGABYTES_4 // (len(item) + 1) - 2)) + b"]"


@pytest.mark.parametrize("item", [b"{}", b"[]", b'{"a":1}', b"1", b'""', b"[[]]", b"null"])
def test_a_text_of_very_many_values_is_refused_without_being_parsed(
    item: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0

    def counted(piece: bytes) -> bytes:
        nonlocal read
        read += len(piece)
        return piece

    skeleton = json_shape._skeleton
    monkeypatch.setattr(json_shape, "_skeleton", lambda piece: skeleton(counted(piece)))
    monkeypatch.setattr(orjson, "loads", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(PayloadTooLarge):
        parse_json(filled(item))
    assert read <= max(CONTAINERS_MAX * 8, VALUES_MAX * 5) + 64 * 1024


@pytest.mark.parametrize("item", ["{[,", '\\"', "\\\\", "\\", '"', "[{\\", ',"', "\\\\\\\\\\"])
@pytest.mark.parametrize("shift", range(4))
def test_text_is_never_taken_for_structure(item: str, shift: int) -> None:
    text = "x" * shift + item * (300_000 // len(item))
    body = json.dumps({"a": text, "b": [text]}).encode()
    assert parse_json(body) == {"a": text, "b": [text]}


def shape(value: object) -> tuple[int, int]:
    """Containers, and the depth of the deepest."""
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else None
    if inner is None:
        return 0, 0
    found = [shape(each) for each in inner]
    return 1 + sum(count for count, _ in found), 1 + max((depth for _, depth in found), default=0)


def made(chance: random.Random, depth: int) -> object:
    kind = chance.random()
    if depth == 0 or kind < 0.3:
        return chance.choice(['"', "\\", "{", "]", '\\"', "é" * 9, 1, None, -2.5, 'a"b\\'])
    if kind < 0.65:
        return [made(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {
        f"{index}{chance.choice(['', '{', chr(34)])}": made(chance, depth - 1) for index in range(chance.randrange(4))
    }


def test_counts_agree_with_the_parsed_value_wherever_slices_end(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    for _ in range(400):
        value = made(chance, chance.randrange(1, 7))
        body = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode()
        count, depth = shape(value)
        monkeypatch.setattr(json_shape, "_SLICE_BYTES", chance.randrange(2, 40))
        for name, found in (("CONTAINERS_MAX", count), ("MAX_DEPTH", depth)):
            monkeypatch.setattr(json_shape, name, found)
            require_bounded(body)
            if found:
                monkeypatch.setattr(json_shape, name, found - 1)
                with pytest.raises((PayloadTooLarge, BadRequest)):
                    require_bounded(body)
            monkeypatch.undo()
            monkeypatch.setattr(json_shape, "_SLICE_BYTES", chance.randrange(2, 40))


def test_the_deepest_level_that_is_read() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH)
    with pytest.raises(BadRequest, match="deeper than 64"):
        parse_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
