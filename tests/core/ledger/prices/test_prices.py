"""The price book: exact, dated, per organisation, never edited."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import sleep
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.errors import Unprocessable
from core.kit.ids import new_id
from core.kit.money import ZERO, to_money
from core.kit.settings import Settings
from core.ledger.prices import repository
from core.ledger.prices.cache import PriceCache
from core.ledger.prices.records import NewPrice, Priced, PriceSource
from core.ledger.prices.seed import Seeded, seed_prices, seed_prices_once
from core.ledger.prices.service import list_effective, list_history, set_price, set_shared_price
from core.ledger.records import Unit

pytestmark = pytest.mark.own_database

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Database]:
    opened = Database(Settings(database_url=SecretStr(database_url)), application_name="test-prices", pool_size=2)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def seeded(database: Database) -> Seeded:
    with database.system() as session:
        return seed_prices(session)


def new_principal(database: Database) -> Principal:
    principal = Principal(new_id(), new_id(), new_id(), frozenset(), actor_kind="key")
    with database.system() as session:
        session.execute(
            text("INSERT INTO organizations (id, name) VALUES (:id, :name)"),
            {"id": principal.organization_id, "name": str(principal.organization_id)},
        )
    return principal


@pytest.fixture
def principal(database: Database) -> Principal:
    return new_principal(database)


def put(
    database: Database, principal: Principal, model: str, unit: Unit, usd: str, *, valid_from: datetime | None = None
) -> UUID:
    with database.tenant(principal.organization_id) as session:
        return set_price(session, principal, NewPrice("openai", model, unit, Decimal(usd), valid_from)).id


def cost(
    database: Database, organization_id: UUID, model: str, quantities: dict[Unit, int], at: datetime | None = None
) -> Decimal | None:
    """What a fresh book says; None when it does not know."""
    found = PriceCache().price(
        database.single_tenant(organization_id), organization_id, "openai", model, quantities, at=at
    )
    return found.amount_usd if found.is_known else None


def test_seeding_prices_what_the_package_knows(database: Database, seeded: Seeded, principal: Principal) -> None:
    assert seeded.added > 5_000
    single = database.single_tenant(principal.organization_id)
    priced = PriceCache().price(
        single,
        principal.organization_id,
        "openai",
        "gpt-4o-2024-08-06",
        {Unit.INPUT_TOKENS: 1000, Unit.CACHED_INPUT_TOKENS: 2000, Unit.OUTPUT_TOKENS: 100, Unit.REASONING_TOKENS: 10},
    )
    assert priced.is_known
    assert priced.amounts == {
        Unit.INPUT_TOKENS: Decimal("0.0025"),
        Unit.CACHED_INPUT_TOKENS: Decimal("0.0025"),
        Unit.OUTPUT_TOKENS: Decimal("0.001"),
        Unit.REASONING_TOKENS: Decimal("0.0001"),
    }
    assert priced.amount_usd == Decimal("0.0061")
    assert len(priced.price_ids) == 3
    transcription = PriceCache().price(
        single, principal.organization_id, "openai", "whisper-1", {Unit.AUDIO_SECOND: Decimal("12.5")}
    )
    assert transcription.amount_usd == Decimal("0.00125")
    azure = PriceCache().price(single, principal.organization_id, "azure", "gpt-4o-mini", {Unit.OUTPUT_TOKENS: 10})
    assert azure.amount_usd == Decimal("0.000006")


def test_the_package_and_the_table_agree_for_every_model(database: Database, seeded: Seeded) -> None:
    from genai_prices import Usage, calc_price
    from genai_prices.data import providers

    principal = new_principal(database)
    compared = 0
    with database.tenant(principal.organization_id) as session:
        cache = PriceCache()
        for provider in providers:
            for model in provider.models[::7]:
                quantities = {Unit.INPUT_TOKENS: 900, Unit.OUTPUT_TOKENS: 70}
                ours = cache.price(session, principal.organization_id, provider.id, model.id, quantities)
                if not ours.is_known:
                    continue
                if any(type(price.constraint).__name__.startswith("Time") for price in _conditions(model.prices)):
                    continue
                if getattr(model.get_prices(NOW), "requests_kcount", None):
                    continue
                theirs = calc_price(
                    Usage(input_tokens=900, output_tokens=70), model_ref=model.id, provider_id=provider.id
                )
                assert ours.amount_usd == to_money(theirs.total_price), (provider.id, model.id)
                compared += 1
    assert compared > 200


def _conditions(prices: Any) -> list[Any]:
    return prices if isinstance(prices, list) else []


def test_seeding_again_changes_nothing(database: Database, seeded: Seeded) -> None:
    with database.system() as session:
        again = seed_prices(session)
    assert (again.added, again.left_to_operator) == (0, 0)
    assert again.unchanged > 5_000


def test_only_a_price_table_without_the_packages_prices_is_filled_at_a_start(
    settings: Settings, seeded: Seeded
) -> None:
    assert seeded.added > 5_000
    assert seed_prices_once(settings, "test") is None


def test_a_provider_is_looked_up_by_the_index(database: Database, seeded: Seeded, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        assert repository.has_provider(session, principal.organization_id, "openai")
        assert not repository.has_provider(session, principal.organization_id, "opnai")
        assert {"openai", "anthropic"} <= repository.providers(session, principal.organization_id)
        explain = text(f"EXPLAIN (ANALYZE) {repository._HAS_PROVIDER.text}")
        values = {"organization_id": principal.organization_id, "provider": "opnai"}
        plan = "\n".join(session.execute(explain, values).scalars())
    assert "prices_model_unit" in plan
    assert "Seq Scan on prices" not in plan


def test_a_deployment_costs_what_its_model_costs_unless_it_has_a_price_of_its_own(
    database: Database, seeded: Seeded, principal: Principal
) -> None:
    cache, quantities = PriceCache(), {Unit.INPUT_TOKENS: 1_000_000}

    def priced(provider: str, model: str) -> Priced:
        with database.tenant(principal.organization_id) as session:
            return cache.price(session, principal.organization_id, provider, model, quantities)

    assert priced("azure", "claims-gpt4o-prod") == priced("azure", "gpt-4o")
    assert priced("openai-compatible", "openai/gpt-4o").is_known
    assert not priced("openai-compatible", "writer").is_known
    with database.tenant(principal.organization_id) as session:
        set_price(session, principal, NewPrice("azure", "claims-gpt4o-prod", Unit.INPUT_TOKENS, Decimal("0.5")))
    cache.evict()
    assert priced("azure", "claims-gpt4o-prod").amount_usd == 500_000


def test_seeding_leaves_shared_prices_of_an_operator(database: Database, principal: Principal) -> None:
    with database.system() as session:
        set_shared_price(session, NewPrice("openai", "gpt-4o-mini", Unit.INPUT_TOKENS, Decimal("0.5")))
        assert seed_prices(session).left_to_operator == 1
    assert cost(database, principal.organization_id, "gpt-4o-mini", {Unit.INPUT_TOKENS: 3}) == Decimal("1.5")


def test_a_package_that_changed_its_mind_adds_a_row_from_now_on(
    database: Database, seeded: Seeded, principal: Principal
) -> None:
    with database.system() as session:
        session.execute(
            text(
                "INSERT INTO prices (provider, model, unit, usd_per_unit, valid_from, recorded_at, source) VALUES"
                " ('openai', 'gpt-4', 'input_tokens', 7, '1970-01-01Z', now(), 'genai-prices')"
            )
        )
    assert cost(database, principal.organization_id, "gpt-4", {Unit.INPUT_TOKENS: 1}) == 7
    with database.system() as session:
        seed_prices(session)
    with database.system() as session:
        assert seed_prices(session).added == 0
    million = {Unit.INPUT_TOKENS: 1_000_000}
    assert cost(database, principal.organization_id, "gpt-4", million) == 30
    assert cost(database, principal.organization_id, "gpt-4", million, NOW - DAY) == 7_000_000


def test_the_local_models_cost_nothing_and_are_known(database: Database, principal: Principal) -> None:
    for model in ("local/extractive", "local/all-MiniLM-L6-v2-int8", "anything"):
        priced = PriceCache().price(
            database.single_tenant(principal.organization_id),
            principal.organization_id,
            "local",
            model,
            {Unit.INPUT_TOKENS: 10**9, Unit.EMBEDDING_TOKENS: 5},
        )
        assert (priced.is_known, priced.amount_usd) == (True, ZERO)


def test_an_unknown_model_costs_nothing_and_is_not_known(database: Database, principal: Principal) -> None:
    priced = PriceCache().price(
        database.single_tenant(principal.organization_id),
        principal.organization_id,
        "openai",
        "no-such-model",
        {Unit.INPUT_TOKENS: 1},
    )
    assert (priced.is_known, priced.amount_usd, priced.price_ids) == (False, ZERO, ())


def test_a_kind_without_a_price_is_not_known_unless_nothing_was_consumed(
    database: Database, principal: Principal
) -> None:
    put(database, principal, "half", Unit.INPUT_TOKENS, "0.001")
    assert cost(database, principal.organization_id, "half", {Unit.INPUT_TOKENS: 1, Unit.IMAGE: 1}) is None
    assert cost(database, principal.organization_id, "half", {Unit.INPUT_TOKENS: 1, Unit.IMAGE: 0}) == Decimal("0.001")


def test_past_present_and_future_prices(database: Database, principal: Principal) -> None:
    put(database, principal, "dated", Unit.OUTPUT_TOKENS, "1", valid_from=NOW - 10 * DAY)
    put(database, principal, "dated", Unit.OUTPUT_TOKENS, "3", valid_from=NOW + 10 * DAY)
    put(database, principal, "dated", Unit.OUTPUT_TOKENS, "2")
    one = {Unit.OUTPUT_TOKENS: 1}
    organization = principal.organization_id
    assert cost(database, organization, "dated", one, NOW - 11 * DAY) is None
    assert cost(database, organization, "dated", one, NOW - 9 * DAY) == 1
    assert cost(database, organization, "dated", one) == 2
    assert cost(database, organization, "dated", one, NOW + 11 * DAY) == 3
    put(database, principal, "dated", Unit.OUTPUT_TOKENS, "9", valid_from=NOW - 5 * DAY)
    assert cost(database, organization, "dated", one) == 2
    assert cost(database, organization, "dated", one, NOW - 4 * DAY) == 9


def test_of_two_prices_of_one_moment_the_last_written_wins(database: Database, principal: Principal) -> None:
    for usd in ("1", "2"):
        put(database, principal, "twice", Unit.IMAGE, usd, valid_from=NOW - DAY)
    assert cost(database, principal.organization_id, "twice", {Unit.IMAGE: 1}) == 2


def test_an_organisations_price_is_its_own(database: Database, principal: Principal) -> None:
    other = new_principal(database)
    with database.system() as session:
        set_shared_price(session, NewPrice("openai", "shared", Unit.IMAGE, Decimal(5)))
    put(database, principal, "shared", Unit.IMAGE, "4", valid_from=NOW - DAY)
    assert cost(database, principal.organization_id, "shared", {Unit.IMAGE: 1}) == 4
    assert cost(database, other.organization_id, "shared", {Unit.IMAGE: 1}) == 5
    with database.tenant(other.organization_id) as session:
        # Asking in somebody else's name does not help: row-level security stands behind the query.
        found = list_history(session, principal.organization_id, "openai", "shared")
    assert [(price.organization_id, price.usd_per_unit) for price in found] == [(None, Decimal(5))]


def test_a_tenant_cannot_write_a_shared_or_anothers_price(database: Database, principal: Principal) -> None:
    other = new_principal(database)
    for organization in (None, other.organization_id):
        with (
            pytest.raises(ProgrammingError, match="row-level security"),
            database.tenant(principal.organization_id) as session,
        ):
            session.execute(
                text(
                    "INSERT INTO prices (organization_id, provider, model, unit, usd_per_unit, source)"
                    " VALUES (:organization, 'openai', 'gpt-4o', 'input_tokens', 0, 'operator')"
                ),
                {"organization": organization},
            )


def test_a_price_of_a_provider_serves_models_without_their_own(database: Database, principal: Principal) -> None:
    organization = principal.organization_id
    put(database, principal, "*", Unit.OCR_PAGE, "0.01")
    assert cost(database, organization, "whichever", {Unit.OCR_PAGE: 2}) == Decimal("0.02")
    put(database, principal, "whichever", Unit.OCR_PAGE, "0.03")
    assert cost(database, organization, "whichever", {Unit.OCR_PAGE: 2}) == Decimal("0.06")


def test_a_long_call_pays_the_tier_it_reaches_with_every_token(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        for above, usd in ((0, "0.001"), (1000, "0.002")):
            price = NewPrice("openai", "tiered", Unit.INPUT_TOKENS, Decimal(usd), NOW - DAY, above)
            set_price(session, principal, price)
    organization = principal.organization_id
    assert cost(database, organization, "tiered", {Unit.INPUT_TOKENS: 1000}) == 1
    assert cost(database, organization, "tiered", {Unit.INPUT_TOKENS: 1001}) == Decimal("2.002")
    assert cost(database, organization, "tiered", {Unit.INPUT_TOKENS: 900, Unit.CACHED_INPUT_TOKENS: 101}) == Decimal(
        "2.002"
    )
    put(database, principal, "tiered", Unit.INPUT_TOKENS, "0.003")
    assert cost(database, organization, "tiered", {Unit.INPUT_TOKENS: 1001}) == Decimal("3.003")


@pytest.mark.parametrize("statement", ["UPDATE prices SET usd_per_unit = 0", "DELETE FROM prices", "TRUNCATE prices"])
def test_prices_are_immutable(database: Database, database_url: str, principal: Principal, statement: str) -> None:
    put(database, principal, "fixed", Unit.IMAGE, "1")
    for opened in (database.tenant(principal.organization_id), database.system()):
        with pytest.raises(ProgrammingError, match="permission denied"), opened as session:
            session.execute(text(statement))
    # Not even the owner of the table.
    with psycopg.connect(database_url) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege, match="dated one"):
        owner.execute(statement)


def test_setting_a_price_is_on_the_record(database: Database, principal: Principal) -> None:
    put(database, principal, "recorded", Unit.IMAGE, "0.125")
    with database.tenant(principal.organization_id) as session:
        (row,) = session.execute(text("SELECT action, actor_kind, detail FROM audit_inbox")).all()
    assert (row.action, row.actor_kind) == ("api:price:set", "key")
    assert row.detail["usd_per_unit"] == "0.125"


@pytest.mark.parametrize("usd", ["-1", "NaN", "Infinity", "1000000000", "0.0000000000000001"])
def test_an_impossible_price_is_refused(database: Database, principal: Principal, usd: str) -> None:
    with pytest.raises(Unprocessable, match="usd_per_unit"):
        put(database, principal, "impossible", Unit.IMAGE, usd)


@pytest.mark.parametrize("quantity", [-1, Decimal("NaN"), Decimal("Infinity")])
def test_an_impossible_quantity_is_refused(database: Database, principal: Principal, quantity: int | Decimal) -> None:
    with pytest.raises(ValueError, match="quantity"):
        PriceCache().price(
            database.single_tenant(principal.organization_id),
            principal.organization_id,
            "local",
            "x",
            {Unit.IMAGE: quantity},
        )


def test_the_cache_holds_prices_for_two_seconds_at_most(database: Database, principal: Principal) -> None:
    cache, organization = PriceCache(), principal.organization_id
    single = database.single_tenant(organization)
    one = {Unit.IMAGE: 1}
    put(database, principal, "cached", Unit.IMAGE, "1")
    assert cache.price(single, organization, "openai", "cached", one).amount_usd == 1
    put(database, principal, "cached", Unit.IMAGE, "2")
    assert cache.price(single, organization, "openai", "cached", one).amount_usd == 1
    sleep(2.05)
    assert cache.price(single, organization, "openai", "cached", one).amount_usd == 2


def test_effective_prices_come_in_pages_without_gap_or_repeat(database: Database, seeded: Seeded) -> None:
    principal = new_principal(database)
    put(database, principal, "gpt-4o", Unit.IMAGE, "1")
    single = database.single_tenant(principal.organization_id)
    whole = list_effective(single, principal.organization_id, provider="openai", limit=10_000)
    paged: list[UUID] = []
    after = None
    while page := list_effective(single, principal.organization_id, provider="openai", after=after, limit=37):
        paged.extend(price.id for price in page)
        after = (page[-1].provider, page[-1].model, page[-1].unit.value, page[-1].above_input_tokens)
    assert paged == [price.id for price in whole]
    assert len(set(paged)) == len(paged) > 300
    only = list_effective(single, principal.organization_id, provider="openai", model="gpt-4o")
    assert {price.source for price in only} == {PriceSource.PACKAGE, PriceSource.OPERATOR}


_PRICES = st.decimals(min_value=0, max_value=1, places=15)
_COUNTS = st.integers(min_value=0, max_value=10**7)


@hypothesis_settings(max_examples=60)
@given(st.lists(_PRICES, min_size=5, max_size=5), st.lists(_COUNTS, min_size=5, max_size=5))
def test_no_call_costs_more_than_its_bound(
    database: Database, hypothesis_principal: Principal, prices: list[Decimal], counts: list[int]
) -> None:
    units = (
        Unit.INPUT_TOKENS,
        Unit.CACHED_INPUT_TOKENS,
        Unit.CACHE_WRITE_TOKENS,
        Unit.OUTPUT_TOKENS,
        Unit.REASONING_TOKENS,
    )
    model = f"m-{new_id()}"
    organization = hypothesis_principal.organization_id
    with database.tenant(organization) as session:
        for unit, usd in zip(units, prices, strict=True):
            set_price(session, hypothesis_principal, NewPrice("openai", model, unit, usd, NOW - DAY))
    single = database.single_tenant(organization)
    spent = dict(zip(units, counts, strict=True))
    cache = PriceCache()
    priced = cache.price(single, organization, "openai", model, spent)
    bound = cache.bound(
        single,
        organization,
        "openai",
        model,
        {Unit.INPUT_TOKENS: sum(counts[:3]), Unit.OUTPUT_TOKENS: sum(counts[3:])},
    )
    assert priced.amount_usd == sum(priced.amounts.values(), start=ZERO)
    assert priced.amount_usd <= bound.amount_usd
    for unit, usd in zip(units, prices, strict=True):
        assert priced.amounts[unit] == to_money(spent[unit] * usd)


@pytest.fixture(scope="module")
def hypothesis_principal(database: Database) -> Principal:
    return new_principal(database)
