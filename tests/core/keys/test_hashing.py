import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.keys.errors import SecretKeyUnusable
from core.keys.hashing import KeyHasher, generate_key, is_well_formed
from core.kit.settings import Settings

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def hasher(secret: str) -> KeyHasher:
    return KeyHasher(Settings(secret_key=SecretStr(secret)))


def test_a_key_has_its_public_part_its_256_bits_and_its_checksum() -> None:
    key = generate_key()
    assert key.plaintext.startswith(key.prefix + "_")
    assert len(key.prefix) == len("wb_live_") + 12
    secret = key.plaintext.removeprefix(key.prefix + "_")
    assert len(secret) == 43 + 6
    assert 62**43 > 2**256
    number = 0
    for character in secret[-6:]:
        number = number * 62 + _BASE62.index(character)
    assert number == zlib.crc32(key.plaintext[:-6].encode())


def test_keys_differ() -> None:
    assert len({generate_key().plaintext for _ in range(200)}) == 200


@given(st.integers(0, 68), st.sampled_from(_BASE62))
def test_one_wrong_character_is_noticed_without_a_look_up(place: int, character: str) -> None:
    good = generate_key().plaintext
    assert is_well_formed(good)
    bad = good[:place] + character + good[place + 1 :]
    assert is_well_formed(bad) == (bad == good)


@pytest.mark.parametrize("text", ["", "wb_live_", "x" * 70, "wb_live_" + "a" * 62, "wb_live_" + "é" * 62])
def test_what_is_not_a_key(text: str) -> None:
    assert not is_well_formed(text)


def test_a_key_with_something_around_it_is_not_a_key() -> None:
    good = generate_key().plaintext
    for bad in (f" {good}", f"{good}\n", good[:-1], f"{good}x", good.upper()):
        assert not is_well_formed(bad)


def test_the_hash_depends_on_the_secret() -> None:
    plaintext = generate_key().plaintext
    one = hasher("a" * 32)
    assert one.digest(plaintext) == one.digest(plaintext) == hasher("a" * 32).digest(plaintext)
    assert one.digest(plaintext) != hasher("b" * 32).digest(plaintext)
    assert len(one.digest(plaintext)) == 32


@pytest.mark.parametrize("secret", [None, "", "x" * 31])
def test_a_weak_secret_is_refused(secret: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYBILL_SECRET_KEY", raising=False)
    given_secret = None if secret is None else SecretStr(secret)
    with pytest.raises(SecretKeyUnusable, match="at least 32"):
        KeyHasher(Settings(secret_key=given_secret))
