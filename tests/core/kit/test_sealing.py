from uuid import uuid4

import pytest
from pydantic import SecretStr

from core.kit.sealing import CannotOpen, Sealer, SealingKeyMissing, pseudonym_keys, secret_keys
from core.kit.settings import Settings

ONE = Settings(secret_key=SecretStr("a" * 40))


def test_what_was_sealed_opens_and_never_looks_the_same_twice() -> None:
    owner, sealer = uuid4(), Sealer(secret_keys(ONE), "tests")
    boxes = [sealer.seal(owner, b"a secret") for _ in range(3)]
    assert len(set(boxes)) == 3
    assert all(b"a secret" not in box for box in boxes)
    assert {Sealer(secret_keys(ONE), "tests").open(owner, box) for box in boxes} == {b"a secret"}


def test_a_box_opens_for_its_owner_purpose_and_key_only() -> None:
    owner, sealer = uuid4(), Sealer(secret_keys(ONE), "tests")
    box = sealer.seal(owner, b"a secret")
    other_key = Sealer(secret_keys(Settings(secret_key=SecretStr("b" * 40))), "tests")
    for open_, given, whose in (
        (sealer, box, uuid4()),
        (Sealer(secret_keys(ONE), "other"), box, owner),
        (other_key, box, owner),
        (sealer, box[:-1] + bytes([box[-1] ^ 1]), owner),
        (sealer, b"\x02" + box[1:], owner),
        (sealer, b"", owner),
        (sealer, box[:5], owner),
    ):
        with pytest.raises(CannotOpen):
            open_.open(whose, given)


def test_a_retired_key_opens_and_seals_no_more() -> None:
    owner, before = uuid4(), Sealer(secret_keys(ONE), "tests")
    box = before.seal(owner, b"a secret")
    both = Settings(secret_key=SecretStr("b" * 40), secret_keys_retired=[SecretStr("a" * 40)])
    after = Sealer(secret_keys(both), "tests")
    assert after.open(owner, box) == b"a secret"
    with pytest.raises(CannotOpen):
        before.open(owner, after.seal(owner, b"a secret"))


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(SealingKeyMissing):
        secret_keys(Settings(secret_key=SecretStr("short")))
    with pytest.raises(SealingKeyMissing, match="WAYBILL_PSEUDONYM_KEY") as missing:
        pseudonym_keys(ONE)
    assert missing.value.code == "guard_key_missing"
