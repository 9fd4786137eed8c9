import base64

import pytest
from pydantic import SecretStr

from core.kit.canonical import canonical, exact
from core.kit.settings import Settings
from core.kit.signing import Keyring, Signer, SigningKeyMissing, base64url, generate_seed, thumbprint, unbase64url

# RFC 8032, section 7.1, test 2; RFC 8037, appendix A.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def settings(seed: str | None, *retired: str) -> Settings:
    return Settings(signing_key=None if seed is None else SecretStr(seed), signing_keys_retired=list(retired))


def test_signatures_are_those_of_rfc_8032() -> None:
    signer = Signer(SEED)
    assert signer.public_key == PUBLIC
    assert signer.sign(b"\x72") == SIGNATURE
    ring = Keyring([PUBLIC])
    assert ring.verifies(signer.key_id, b"\x72", SIGNATURE)
    assert not ring.verifies(signer.key_id, b"\x73", SIGNATURE)
    assert not ring.verifies(signer.key_id, b"\x72", SIGNATURE[:-1])
    assert not ring.verifies("another", b"\x72", SIGNATURE)


def test_the_id_of_a_key_is_the_thumbprint_of_rfc_8037() -> None:
    public = unbase64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_rotated_key_stays_in_the_key_set() -> None:
    old = Signer.from_settings(settings(generate_seed()))
    now = settings(generate_seed(), base64.b64encode(old.public_key).decode())
    ring = Keyring.from_jwks(Keyring.from_settings(now).to_jwks())
    assert len(ring) == 2
    for signer in (old, Signer.from_settings(now)):
        assert ring.verifies(signer.key_id, b"x", signer.sign(b"x"))
    assert len(Keyring.from_settings(settings(None))) == 0


@pytest.mark.parametrize("seed", ["", "too short", base64.b64encode(bytes(31)).decode(), "!" * 44])
def test_what_is_no_key_is_refused_with_a_remedy(seed: str) -> None:
    with pytest.raises(SigningKeyMissing, match="openssl rand -base64 32"):
        Signer.from_settings(settings(seed))
    with pytest.raises(SigningKeyMissing):
        Signer.from_settings(settings(None))


@pytest.mark.parametrize(
    "document", [None, [], {}, {"keys": 1}, {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}]
)
def test_what_is_no_key_set_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"key"):
        Keyring.from_jwks(document)
    assert len(Keyring.from_jwks({"keys": [{"kty": "RSA", "n": "x"}]})) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'),
        # RFC 8785, section 3.2.3: keys sort by UTF-16 code units, so the smiley comes before the Hebrew letter.
        ({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "1": 4}, '{"1":4,"€":3,"😀":2,"\ufb33":1}'),
        ({"a": {"\ue000": 1, "\U0001f600": [{}]}}, '{"a":{"😀":[{}],"\ue000":1}}'),
        ('\x00\x1f\x7f"\\\b\t\n\f\r/é', '"\\u0000\\u001f\x7f\\"\\\\\\b\\t\\n\\f\\r/é"'),
        (2**53 - 1, "9007199254740991"),
    ],
)
def test_the_canonical_form_is_that_of_rfc_8785(value: object, text: str) -> None:
    assert canonical(value).decode() == text


@pytest.mark.parametrize("value", [0.5, {"a": [1.0]}, 2**53, {"a": object()}, {1: 2}, float("nan")])
def test_what_would_be_read_differently_elsewhere_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical(value)


def test_numbers_without_a_canonical_form_become_their_digits() -> None:
    text = '{"a": 1.0, "b": 1e400, "c": 9007199254740993, "d": -7, "e": [0.10000000000000000001]}'
    read = exact(text)
    assert read == {"a": "1.0", "b": "1e400", "c": "9007199254740993", "d": -7, "e": ["0.10000000000000000001"]}
    assert canonical(read)


def test_base64url_is_read_back() -> None:
    for size in range(40):
        assert unbase64url(base64url(bytes(range(size)))) == bytes(range(size))
