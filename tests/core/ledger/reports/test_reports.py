"""Reports over 10,000 finished jobs: every grouping adds up to the ledger, to the last digit."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from time import perf_counter
from uuid import UUID

import psycopg
import pytest
from focus_data_toolkit import lint_focus_1_4_structure
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from core.keys.errors import ScopeMissing
from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.ledger.records import Unit
from core.ledger.reports import repository
from core.ledger.reports.costs import reach_of, report
from core.ledger.reports.delimited import to_csv
from core.ledger.reports.focus import COLUMNS, export_pages
from core.ledger.reports.records import Grouping, Reach, Window
from core.ledger.reports.statement import make_statement
from core.ledger.reports.statement_files import CSV_COLUMNS, to_statement_csv, to_statement_html
from tests.factories.charges import CAPABILITIES, MODELS, Line, finished_jobs, id_at, month_start, write_lines

pytestmark = pytest.mark.own_database

JOBS = 10_000
EVERYTHING = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
MANDATORY = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
]


@dataclass
class Tenant:
    """An organisation with projects, keys and what its jobs cost."""

    database: Database
    database_url: str
    id: UUID
    projects: list[UUID]
    keys: list[UUID]

    def total(self, where: str = "true", **parameters: object) -> Decimal:
        """The ledger's own sum."""
        with self.database.system() as session:
            found = session.execute(
                text(
                    f"SELECT coalesce(sum(amount_usd), 0) FROM ledger_entries WHERE organization_id = :id AND {where}"
                ),
                {"id": self.id, **parameters},
            ).scalar_one()
        return Decimal(found)


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Database]:
    opened = Database(Settings(database_url=SecretStr(database_url)), application_name="test-reports", pool_size=2)
    yield opened
    opened.close()


def new_tenant(database: Database, database_url: str, *, projects: int = 3, keys: int = 4) -> Tenant:
    tenant = Tenant(
        database, database_url, new_id(), [new_id() for _ in range(projects)], [new_id() for _ in range(keys)]
    )
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO organizations (id, name) VALUES (%s, %s)", (tenant.id, f"org {tenant.id}"))
        for number, project in enumerate(tenant.projects):
            connection.execute(
                "INSERT INTO projects (id, organization_id, name) VALUES (%s, %s, %s)",
                (project, tenant.id, f"project {number}"),
            )
        for number, key in enumerate(tenant.keys):
            connection.execute(
                "INSERT INTO api_keys (id, organization_id, project_id, name, prefix, hash, scopes)"
                " VALUES (%s, %s, %s, %s, 'wb', %s, '{}')",
                (key, tenant.id, tenant.projects[number % projects], f"key {number}", key.bytes),
            )
    return tenant


@pytest.fixture(scope="module")
def tenant(database: Database, database_url: str) -> Tenant:
    made = new_tenant(database, database_url)
    other = new_tenant(database, database_url)
    write_lines(database_url, finished_jobs(made.id, made.projects, made.keys, JOBS))
    write_lines(database_url, finished_jobs(other.id, other.projects, other.keys, 200, seed=8))
    return made


GROUPINGS = st.lists(
    st.sampled_from(["project", "capability", "model", "key", "day", "label:team", "label:absent"]),
    unique=True,
    max_size=4,
)
SECONDS = st.integers(min_value=-(70 * 24 * 3600), max_value=40 * 24 * 3600)


@hypothesis_settings(max_examples=25)
@given(GROUPINGS, SECONDS, SECONDS, st.sampled_from([None, 0, 1, 2]))
def test_any_grouping_of_any_window_adds_up_to_the_ledger(
    tenant: Tenant, words: list[str], one: int, other: int, project: int | None
) -> None:
    begins, ends = (month_start() + timedelta(seconds=seconds) for seconds in sorted((one, other + 1)))
    reach = Reach(tenant.id, None if project is None else tenant.projects[project])
    window = Window(begins, ends)
    groupings = [Grouping.parse(word) for word in words]
    with tenant.database.tenant(tenant.id) as session:
        lines = report(session, reach, window, groupings, with_quantities=True)
        quantities = session.execute(
            text(
                "SELECT coalesce(sum((quantities ->> 'output_tokens')::numeric), 0) FROM ledger_entries"
                " WHERE uuid_extract_timestamp(job_id) >= :begins AND uuid_extract_timestamp(job_id) < :ends"
                " AND (CAST(:project AS uuid) IS NULL OR project_id = :project)"
            ),
            {"begins": begins, "ends": ends, "project": reach.project_id},
        ).scalar_one()
    ledger = tenant.total(
        "uuid_extract_timestamp(job_id) >= :begins AND uuid_extract_timestamp(job_id) < :ends"
        " AND (CAST(:project AS uuid) IS NULL OR project_id = :project)",
        begins=begins,
        ends=ends,
        project=reach.project_id,
    )
    assert sum((line.amount_usd for line in lines), start=Decimal(0)) == ledger
    assert sum((line.quantities.get(Unit.OUTPUT_TOKENS, Decimal(0)) for line in lines), Decimal(0)) == quantities
    assert len({tuple(line.group.items()) for line in lines}) == len(lines)


def test_ten_thousand_jobs_are_reported_quickly(tenant: Tenant) -> None:
    took = {}
    with tenant.database.tenant(tenant.id) as session:
        for words in ([], ["project"], ["day"], ["project", "capability", "model", "day"], ["label:team"]):
            began = perf_counter()
            lines = report(session, Reach(tenant.id, None), EVERYTHING, [Grouping.parse(word) for word in words])
            took[",".join(words)] = round(perf_counter() - began, 3)
            assert sum((line.amount_usd for line in lines), start=Decimal(0)) == tenant.total()
    print(took)  # noqa: T201 - shown when somebody asks with -s
    # A generous bound: it is a tenth of this on an idle machine.
    assert max(took.values()) < 3, took


def test_without_groups_there_is_one_line_and_intents_count_nothing(tenant: Tenant) -> None:
    with tenant.database.tenant(tenant.id) as session:
        (line,) = report(session, Reach(tenant.id, None), EVERYTHING, ())
    with psycopg.connect(tenant.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE kind = 'settlement'), count(DISTINCT job_id),"
            " sum(amount_usd) FILTER (WHERE estimated), sum(amount_usd) FILTER (WHERE kind = 'correction')"
            " FROM ledger_entries WHERE organization_id = %s",
            (tenant.id,),
        ).fetchone()
    assert row == (line.calls, line.jobs, line.estimated_usd, line.corrections_usd)
    assert line.jobs == JOBS


def test_names_stand_beside_ids(tenant: Tenant) -> None:
    with tenant.database.tenant(tenant.id) as session:
        lines = report(session, Reach(tenant.id, None), EVERYTHING, [Grouping.parse("project"), Grouping.parse("key")])
    assert {line.group["project"] for line in lines} == {"project 0", "project 1", "project 2"}
    assert {line.group["key"] for line in lines} == {"key 0", "key 1", "key 2", "key 3", None}


def test_a_foreign_tenant_sees_nothing(tenant: Tenant) -> None:
    stranger = new_tenant(tenant.database, tenant.database_url)
    with tenant.database.tenant(stranger.id) as session:
        (own,) = report(session, Reach(stranger.id, None), EVERYTHING, ())
        # Row-level security answers for the query's own fence.
        (others,) = report(session, Reach(tenant.id, None), EVERYTHING, ())
        assert repository.charges(session, Reach(tenant.id, None), EVERYTHING, after=None, limit=5) == []
        with pytest.raises(NotFound):
            make_statement(session, stranger.id, tenant.projects[0], EVERYTHING)
    for line in (own, others):
        assert (line.amount_usd, line.jobs) == (Decimal(0), 0)


def test_the_whole_organisation_needs_its_scope() -> None:
    organization, project, another = new_id(), new_id(), new_id()
    narrow = Principal(organization, project, None, frozenset({"costs:read"}))
    wide = Principal(organization, project, None, frozenset({"costs:read", "organization:read"}))
    assert reach_of(narrow, None) == reach_of(narrow, project) == Reach(organization, project)
    assert reach_of(wide, None) == Reach(organization, None)
    assert reach_of(wide, another) == Reach(organization, another)
    with pytest.raises(ScopeMissing):
        reach_of(narrow, another)


def test_a_month_reads_one_partition(tenant: Tenant) -> None:
    window = Window(month_start(), month_start(1))
    statement = repository.totals_statement(
        Reach(tenant.id, tenant.projects[0]), [Grouping.parse("day")], with_quantities=False
    )
    with tenant.database.system() as session:
        plan = "\n".join(
            session.execute(
                text(f"EXPLAIN {statement}"),
                {
                    "organization_id": tenant.id,
                    "project_id": tenant.projects[0],
                    "begins": window.begins,
                    "ends": window.ends,
                    "limit": 10,
                },
            ).scalars()
        )
    assert set(re.findall(r"ledger_entries_(?:\d+|default)", plan)) == {f"ledger_entries_{window.begins:%Y%m}"}, plan


def test_a_report_without_end_is_refused(database: Database, database_url: str) -> None:
    crowded = new_tenant(database, database_url, projects=1, keys=1)
    begins = month_start()
    write_lines(
        database_url,
        (
            Line(crowded.id, crowded.projects[0], None, id_at(begins), labels={"n": str(number)})
            for number in range(10_001)
        ),
    )
    with database.tenant(crowded.id) as session, pytest.raises(Unprocessable) as refused:
        report(session, Reach(crowded.id, None), EVERYTHING, [Grouping.parse("label:n")])
    assert refused.value.code == "report_too_large"
    assert refused.value.extra["errors"][0]["path"] == "query.group_by"


class Page(HTMLParser):
    """What a page holds, and what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses.extend(value or "" for name, value in attrs if name in {"src", "href", "style", "srcset"})


def test_a_statement_adds_up_in_every_form(tenant: Tenant) -> None:
    window, project = Window(month_start(), month_start(1)), tenant.projects[1]
    with tenant.database.tenant(tenant.id) as session:
        statement = make_statement(session, tenant.id, project, window)
    ledger = tenant.total(
        "project_id = :project AND job_id >= uuid7_floor(:begins) AND job_id < uuid7_floor(:ends)",
        project=project,
        begins=window.begins,
        ends=window.ends,
    )
    assert statement.total == ledger > 0
    rows = list(csv.DictReader(io.StringIO(to_statement_csv(statement), newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert sum(Decimal(row["amount_usd"]) for row in rows) == ledger
    assert {row["project"] for row in rows} == {"project 1"}
    assert {row["month"] for row in rows} == {f"{window.begins:%Y-%m}"}

    page = to_statement_html(statement)
    parsed = Page()
    parsed.feed(page)
    assert f"{ledger:f}".rstrip("0") in page
    assert parsed.tags.count("svg") == 4
    assert parsed.addresses == []
    assert {"script", "link", "img", "iframe", "object"}.isdisjoint(parsed.tags)
    assert "http" not in page
    for capability in CAPABILITIES:
        assert capability in page


def test_row_15_a_statement_and_an_export_say_what_has_no_price(database: Database, database_url: str) -> None:
    debtor = new_tenant(database, database_url, projects=1, keys=1)
    unknown = {"capability": "research.report", "model": "unpriced", "quantities": {"input_tokens": "10"}}
    known = {"quantities": {"input_tokens": "10"}, "amounts": {"input_tokens": "1.5"}}
    first, second = id_at(month_start()), id_at(month_start())
    write_lines(
        database_url,
        [
            Line(debtor.id, debtor.projects[0], None, first, **unknown),  # type: ignore[arg-type]
            Line(debtor.id, debtor.projects[0], None, second, Decimal("1.5"), **known),  # type: ignore[arg-type]
        ],
    )
    window = Window(month_start(), month_start(1))
    with database.tenant(debtor.id) as session:
        statement = make_statement(session, debtor.id, debtor.projects[0], window)
        pages = "".join(page for page, _ in export_pages(session, Reach(debtor.id, None), window))
    rows = csv.DictReader(io.StringIO(to_statement_csv(statement), newline=""))
    assert {(row["model"], row["amount_usd"], row["unpriced_calls"]) for row in rows} == {
        ("unpriced", "", "1"),
        ("gpt-4o", "1.500000000", "0"),
    }
    page = to_statement_html(statement)
    assert '<p class="total">1.50 + not priced USD</p>' in page
    assert '<td>openai/unpriced</td><td class="n">not priced</td><td class="n"></td>' in page
    assert "1 calls had no price" in page
    exported = csv.DictReader(io.StringIO(pages, newline=""))
    assert {(row["ServiceName"], row["x_Priced"]) for row in exported} == {("unpriced", "false"), ("gpt-4o", "true")}


def test_an_empty_statement_is_a_statement(database: Database, database_url: str) -> None:
    idle = new_tenant(database, database_url)
    with database.tenant(idle.id) as session:
        statement = make_statement(session, idle.id, idle.projects[0], Window.month(2026, 2))
    assert statement.total == 0
    assert to_statement_csv(statement) == ",".join(CSV_COLUMNS) + "\r\n"
    assert "0.00 USD" in to_statement_html(statement)


def test_names_are_data_in_a_page(database: Database, database_url: str) -> None:
    hostile = new_tenant(database, database_url, projects=1, keys=1)
    line = Line(
        hostile.id, hostile.projects[0], hostile.keys[0], id_at(month_start()), Decimal(1), model="<script>alert(1)"
    )
    write_lines(database_url, [line])
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE projects SET name = '<img src=x>' WHERE id = %s", (hostile.projects[0],))
    with database.tenant(hostile.id) as session:
        page = to_statement_html(
            make_statement(session, hostile.id, hostile.projects[0], Window(month_start(), month_start(1)))
        )
    parsed = Page()
    parsed.feed(page)
    assert {"script", "img"}.isdisjoint(parsed.tags)


def focus_rows(tenant: Tenant, window: Window) -> list[dict[str, str]]:
    with tenant.database.tenant(tenant.id) as session:
        whole = "".join(text for text, _ in export_pages(session, Reach(tenant.id, None), window))
    return list(csv.DictReader(io.StringIO(whole, newline="")))


def test_the_focus_export_passes_the_specifications_model_and_adds_up(tenant: Tenant) -> None:
    rows = focus_rows(tenant, EVERYTHING)
    assert tuple(rows[0]) == COLUMNS
    assert set(MANDATORY) <= set(COLUMNS)
    # A line in seven: the linter takes a millisecond for each.
    found = lint_focus_1_4_structure("Cost and Usage", rows[::7])
    assert found.violations == ()
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert sum(Decimal(row[column]) for row in rows) == tenant.total()
    assert len({row["x_JobId"] for row in rows}) == JOBS
    assert {row["ServiceName"] for row in rows} == {model for _, model, _ in MODELS}
    assert {row["ChargeClass"] for row in rows} == {"", "Correction"}


def test_every_focus_column_has_its_type(tenant: Tenant) -> None:
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    number = re.compile(r"-?\d+(\.\d+)?")
    nullable = {"ChargeClass", "PricingQuantity", "PricingUnit", "Tags", "SubAccountName"}
    for row in focus_rows(tenant, Window(month_start(), month_start(1)))[:3000]:
        for column in MANDATORY:
            value = row[column]
            if not value:
                assert column in nullable, column
            elif column.endswith(("PeriodStart", "PeriodEnd")):
                assert moment.fullmatch(value)
            elif column.endswith("Cost") or column == "PricingQuantity":
                assert number.fullmatch(value)
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
        assert row["BillingCurrency"] == "USD"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx", "\n=x", "  =1", "\uff1d1", "%x", "|x"],
)
def test_a_spreadsheet_takes_no_text_for_a_formula(text: str) -> None:
    (row,) = csv.reader(io.StringIO(to_csv([[text, Decimal("-1.5"), -3]]), newline=""))
    assert row == ["'" + text, "-1.5", "-3"]


def test_csv_is_rfc_4180() -> None:
    written = to_csv([["name", "amount"], ['a "b", c', Decimal("1E-9")], ["two\r\nlines", None]])
    assert written == 'name,amount\r\n"a ""b"", c",0.000000001\r\n"two\r\nlines",\r\n'
    assert list(csv.reader(io.StringIO(written, newline=""), strict=True))[1] == ['a "b", c', "0.000000001"]
