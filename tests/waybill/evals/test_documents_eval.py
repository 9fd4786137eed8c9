import json
from pathlib import Path

import pytest
from fpdf import FPDF

from tests.waybill.cli.conftest import Cli
from waybill.evals.documents.report import run_documents_eval
from waybill.evals.documents.words import agreed, score, words_in, words_of_markdown
from waybill.evals.files import UnreadableData


def write(folder: Path) -> Path:
    folder.mkdir()
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    pdf.cell(0, 6, "The fee is twelve euro.")
    (folder / "fee.pdf").write_bytes(bytes(pdf.output()))
    (folder / "fee.html").write_text("<p>The fee is twelve.</p>", encoding="utf-8")
    (folder / "fee.html.reference.md").write_text("# The fee\n\nis [twelve](https://x.org) euro.", encoding="utf-8")
    return folder


def test_files_are_compared_with_references_and_peers(tmp_path: Path) -> None:
    report = run_documents_eval(write(tmp_path / "data"))
    page, pdf = report.files
    assert (page.name, page.reference, pdf.reference) == ("fee.html", "given", "peers")
    assert page.scores["waybill"].found_share == 0.8
    assert page.scores["waybill"].invented_share == 0
    assert report.as_good_share == 1
    assert report.median_lost == pytest.approx(0.2)
    assert report.silently_empty == []
    assert report.missing_peers == ()


def test_the_command_prints_a_table_and_json(tmp_path: Path) -> None:
    cli = Cli({"HOME": str(tmp_path), "WAYBILL_HOME": str(tmp_path / "home")})
    data = write(tmp_path / "data")
    shown = cli("evals", "documents", "--data", str(data))
    assert "80.0 / 0.0" in shown.stdout
    found = json.loads(cli("evals", "documents", "--data", str(data), "--json").stdout)
    assert found["as_good_as_best_peer"] == 1


def test_heads_that_are_named_once_are_not_lost(tmp_path: Path) -> None:
    pdf = FPDF()
    for number in range(1, 5):
        pdf.add_page()
        pdf.set_font("Helvetica", size=11)
        pdf.text(80, 8, "Terms of the parcel company")
        pdf.text(20, 60, f"Chapter {'abcd'[number - 1]} says what {'wxyz'[number - 1]} costs.")
        pdf.text(100, 290, str(number))
    (tmp_path / "terms.pdf").write_bytes(bytes(pdf.output()))
    report = run_documents_eval(tmp_path)
    (terms,) = report.files
    assert terms.scores["waybill"].found_share < terms.named.found_share == 1
    assert (report.as_good_share, report.as_good_or_named_share) == (0, 1)


def test_nothing_to_measure_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData, match="no files"):
        run_documents_eval(tmp_path)


def test_words() -> None:
    assert words_in("Ver-\nwaltung 港口 12.50").keys() == {"verwaltung", "港", "口", "12", "50"}
    assert words_in("a(cid:123)b").keys() == {"a", "b"}
    assert words_of_markdown(r"<!-- image --> a\_b &amp; \frac c").keys() == {"a", "b", "c"}
    assert agreed([words_in("a b"), words_in("a c"), words_in("a a b")]) == {"a": 1, "b": 1}
    assert score(words_in("a b x"), words_in("a b c d")).found_share == 0.5
