"""What the recognizers without a model find, and what only looks like it."""

import pytest

from core.guard.personal.candidates import resolve
from core.guard.personal.recognition import find_patterns
from core.guard.records import EntityKind


def found_in(text: str) -> list[tuple[str, str]]:
    return [(each.kind, text[each.start : each.end]) for each in resolve(find_patterns(text))]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (
            "address",
            "Send it to 12 Birch Hollow Road, Apt 4, Salem, OR 97301 today",
            "12 Birch Hollow Road, Apt 4, Salem, OR 97301",
        ),
        (
            "address",
            "Bill to\n40 Orchard Street\nSuite 9\nSalem, OR 97301-1234",
            "40 Orchard Street\nSuite 9\nSalem, OR 97301-1234",
        ),
        ("address", "PO Box 118, Salem, OR 97301", "PO Box 118, Salem, OR 97301"),
        ("address", "I live at Flat 2, 9 Heron Lane, Bristol BS1 4QA.", "Flat 2, 9 Heron Lane, Bristol BS1 4QA"),
        ("address", "Lieferung an Birkenweg 7b, 50937 Köln bitte", "Birkenweg 7b, 50937 Köln"),
        ("address", "Am Hohen Ufer 3\n30159 Hannover", "Am Hohen Ufer 3\n30159 Hannover"),
        ("address", "au 8 bis rue de la Paix, 75002 Paris", "8 bis rue de la Paix, 75002 Paris"),
        ("address", "Lindelaan 14, 3581 KG Utrecht", "Lindelaan 14, 3581 KG Utrecht"),
        ("address", "Stationsstraat 20\n2800 Mechelen", "Stationsstraat 20\n2800 Mechelen"),
        ("address", "vive en Calle Mayor 15, 2º B, 28013 Madrid", "Calle Mayor 15, 2º B, 28013 Madrid"),
        ("address", "Via Dante 5, 20121 Milano", "Via Dante 5, 20121 Milano"),
        ("postcode", "my zip code is 97301", "97301"),
        ("postcode", "PLZ: 50937", "50937"),
        ("postcode", "postcode BS1 4QA", "BS1 4QA"),
        ("phone", "call +49 30 901820 now", "+49 30 901820"),
        ("phone", "0049 30 901820", "0049 30 901820"),
        ("phone", "(415) 555-2671", "(415) 555-2671"),
        ("phone", "ring me on 020 7946 0958", "020 7946 0958"),
        ("phone", "Tel. 0221/4710830", "0221/4710830"),
        ("phone", "415-555-2671 x204", "415-555-2671 x204"),
        ("card", "4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("card", "amex 3782-822463-10005", "3782-822463-10005"),
        ("card", "card 4222222222222", "4222222222222"),
        ("card", "6205500000000000004", "6205500000000000004"),
        ("iban", "DE89 3704 0044 0532 0130 00 (BIC)", "DE89 3704 0044 0532 0130 00"),
        ("iban", "be68539007547034", "be68539007547034"),
        ("tax_id", "VAT DE136695976", "DE136695976"),
        ("tax_id", "P.IVA 00743110157", "00743110157"),
        ("national_id", "ssn 536-90-4399", "536-90-4399"),
        ("national_id", "NHS number 943 476 5870", "943 476 5870"),
        ("national_id", "DNI 54362315K", "54362315K"),
        ("national_id", "BSN 111222333", "111222333"),
        ("national_id", "NIR 2 95 10 99 126 111 93", "2 95 10 99 126 111 93"),
        ("national_id", "passport no. C01X00T47", "C01X00T47"),
        ("secret", "key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("secret", "postgres://app:hunter2x@db.internal:5432/app", "postgres://app:hunter2x@db.internal:5432/app"),
        ("secret", "password: Winter-2031!", "Winter-2031!"),
        ("secret", "das Passwort lautet Winter-2031!", "Winter-2031!"),
        ("secret", "client_secret=q8Zx4KdmP2vR7tYw9LbN", "q8Zx4KdmP2vR7tYw9LbN"),
        ("email", "write to a.b+c@mail.example.org.", "a.b+c@mail.example.org"),
        ("ip_address", "from 203.0.113.9:443", "203.0.113.9"),
        ("ip_address", "from 2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334"),
        ("date_of_birth", "born on 3 May 1981", "3 May 1981"),
        ("date_of_birth", "Geburtsdatum: 03.05.1981", "03.05.1981"),
        ("person", "Dear Mrs. Ottoline Grabowska,", "Ottoline Grabowska"),
        ("person", "mein Name ist Gundula Petersen", "Gundula Petersen"),
        ("person", "my name is oyelaran", "oyelaran"),
        ("person", "Kind regards,\nWenzel Tkaczyk\n", "Wenzel Tkaczyk"),
    ],
)
def test_found(kind: str, text: str, value: str) -> None:
    assert (kind, value) in found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "Order VH-300010 has shipped",
        "SKU 4006381333931, EAN 5901234123457, ISBN 978-3-16-148410-0",
        "Order number 4111111111111111",
        "card 4111111111111112",
        "total 1,249.90 EUR, 12345 pieces, 55401 units",
        "Invoice 2026-000918 of 14.02.2026 is due on 2026-03-14",
        "firmware version 10.4.0.1",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "job 0198f2c4-7d1e-7a52-9c3b-5f0e8d2a6b71",
        "commit 9f2c1ab7d4e8 at 2026-11-29T15:42:43Z",
        "the password must have 12 characters",
        "password: <your-password>",
        "max_tokens=4096, token usage: 18234",
        "your token is expired",
        "DE89 3704 0044 0532 0130 01",
        "article 0815-4711",
        "batch 20251103143022 processed 999 of 1000 records",
        "it took 12 days down the road",
        "GB980780685",
        "postgresql://owner:$password@server:5432/app",
        "listens on 127.0.0.1",
        "call it with release 2026.10.11549",
        "at 15:48 UTC, schema 0027",
    ],
)
def test_not_found(text: str) -> None:
    assert found_in(text) == []


def test_a_private_key_is_found_whole() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B\n" * 100 + "-----END PRIVATE KEY-----"
    assert found_in(f"key:\n{key}\nend") == [(EntityKind.SECRET, key)]


def test_what_has_a_checksum_wins_over_what_only_looks_likely() -> None:
    assert found_in("call me, my card is 4111 1111 1111 1111") == [("card", "4111 1111 1111 1111")]
