"""Text arrives in the encoding it is in, or is refused by name; never as other letters."""

import pytest

from pipelines.knowledge.documents.encodings import decode, decode_bytes
from pipelines.knowledge.documents.errors import UnreadableDocument
from pipelines.knowledge.documents.readers import read

TEXTS = (
    ("cp1252", "Die Gebühr beträgt 12 Euro."),
    ("cp1252", "Gebühr"),
    ("cp1252", "Café am Größten Kai."),
    ("cp1252", "Señor, mañana será otro día."),
    ("cp1252", "São Paulo não é a capital; as ações sobem."),
    ("cp1252", "It’s “quoted” — see page 4, please."),
    ("cp1252", "kr. 40 på søndag"),
    ("cp1252", "Preis: 5 €"),
    ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
    ("cp1250", "Az őszi kikötőben tizenkét forint a díj, és nem több."),
    ("iso-8859-2", "Opłata za postój wynosi 12 złotych za każdą noc i jest płatna z góry."),
    ("iso-8859-2", "Pro lodě delší než dvanáct metrů platí zvláštní pravidla."),
    ("cp1251", "Посылка хранится семь дней бесплатно. Потом два евро в день."),
    ("cp1251", "Відправлення зберігається сім днів."),
    ("koi8-r", "Посылка хранится семь дней бесплатно."),
    ("cp866", "Посылка хранится семь дней бесплатно."),
    ("cp1253", "Το δέμα φυλάσσεται επτά ημέρες δωρεάν."),
    ("cp1254", "Gemi için ücret on iki avrodur, çünkü liman küçük değildir."),
    ("cp1255", "החבילה נשמרת שבעה ימים ללא תשלום."),
    ("cp1256", "يتم الاحتفاظ بالطرد لمدة سبعة أيام مجانا."),
    ("cp874", "พัสดุจะถูกเก็บไว้เจ็ดวันโดยไม่มีค่าใช้จ่าย"),
    ("gbk", "包裹索赔必须在七天内提出，最高赔偿八百八十欧元。"),
    ("big5", "包裹索賠必須在七天內提出，最高賠償八百八十歐元。"),
    ("cp932", "荷物の請求は七日以内に提出してください。"),
    ("cp932", "アイスクリーム"),
    ("euc_jp", "荷物の請求は七日以内に提出してください。"),
    ("iso2022_jp", "荷物の請求は七日以内に提出してください。"),
    ("cp949", "소포 청구는 칠일 이내에 제출해야 합니다."),
    ("utf-16-le", "Die Gebühr beträgt 12 Euro."),
    ("utf-16-be", "Посылка хранится семь дней бесплатно."),
    ("utf-16-le", "包裹索赔必须在七天内提出，最高赔偿八百八十欧元。"),
    ("utf-32", "Die Gebühr beträgt 12 Euro."),
)


@pytest.mark.parametrize(("encoding", "text"), TEXTS, ids=lambda value: value[:12])
def test_text_is_read_in_its_encoding(encoding: str, text: str) -> None:
    data = text.encode(encoding)
    if encoding in {"utf-16-le", "utf-16-be"} and len(data) % 2:
        data += b"\n\x00"
    assert decode(data) == text


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x9f\x8e\xff\xfe qz",
        "Gebühr eins\n".encode() + "Gebühr zwei\n".encode("cp1252"),
        "Посылка".encode("cp1251") + "Посылка хранится".encode("koi8-r"),
    ],
    ids=["no language", "two encodings", "two alphabets"],
)
def test_an_unknown_encoding_is_refused_with_the_remedy(data: bytes) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        read(data, name="a.txt")
    assert caught.value.code == "document_encoding"
    assert "UTF-8" in caught.value.detail


def test_a_damaged_place_is_named_and_costs_no_more() -> None:
    data = ("Größe und Gebühr, für Boote über zwölf Meter. " * 10).encode() + b"\xe9 end"
    document = read(data, name="a.txt")
    assert document.text.endswith("\ufffd end")
    assert [(each.what, each.count) for each in document.left_out] == [("illegible", 1)]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="gb2312">', "gbk"),
        ("<META HTTP-EQUIV=Content-Type CONTENT='text/html; charset=windows-1251'>", "cp1251"),
        ("<meta charset=shift_jis>", "cp932"),
        ('<meta charset="iso-8859-1">', "utf-8"),
        ("<!-- <meta charset=koi8-r> --><meta charset=windows-1251>", "cp1251"),
    ],
)
def test_a_page_is_read_as_it_declares(head: str, encoding: str) -> None:
    word = {"gbk": "费用", "cp932": "港の料金"}.get(encoding, "Плата за стоянку")
    page = f"<html><head>{head}</head><body><p>{word}</p></body></html>".encode(encoding)
    assert read(page, name="a.html").text == word


def test_an_xml_declaration_counts() -> None:
    page = '<?xml version="1.0" encoding="ISO-8859-2"?><html><body><p>każdą noc</p></body></html>'
    assert read(page.encode("iso-8859-2"), name="a.xhtml").text == "każdą noc"


def test_a_long_text_of_rare_words_stays_what_it_is() -> None:
    text = "Œuvre complète: 20 °C, 5 m², £12, naïve façade, cœur, élève, crème brûlée.\n" * 30
    assert decode_bytes(text.encode("cp1252")).encoding == "cp1252"
