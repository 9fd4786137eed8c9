"""Ledger lines as finished jobs leave them, written straight into the table, by the thousand."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import psycopg

from core.kit.ids import new_id
from core.kit.money import ZERO, format_money, to_money

_COLUMNS = (
    "job_id, attempt, call, entry, organization_id, project_id, key_id, root_job_id, recorded_at, kind, capability,"
    " provider, model, model_version, price_ids, quantities, amounts, bound_usd, amount_usd, estimated, reason,"
    " balance_ids, step, labels"
)
CAPABILITIES = ("knowledge.search", "knowledge.ingest", "research.report")
MODELS = (("openai", "gpt-4o", "0.0000025"), ("anthropic", "claude-opus-4-6", "0.000005"), ("local", "extractive", "0"))


@dataclass(frozen=True, slots=True)
class Line:
    """A ledger line with the fields that reports read."""

    organization_id: UUID
    project_id: UUID
    key_id: UUID | None
    job_id: UUID
    amount_usd: Decimal = ZERO
    kind: str = "settlement"
    attempt: int = 1
    call: int = 1
    entry: int = 1
    capability: str = "knowledge.search"
    provider: str = "openai"
    model: str = "gpt-4o"
    quantities: Mapping[str, str] = field(default_factory=dict)
    amounts: Mapping[str, str] = field(default_factory=dict)
    estimated: bool = False
    reason: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    model_version: str | None = None


def id_at(moment: datetime) -> UUID:
    """A job id of a job accepted at `moment`."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (new_id().int & ((1 << 80) - 1)))


def month_start(months: int = 0) -> datetime:
    """The first moment of this month, or of one so many months away."""
    now = datetime.now(UTC)
    count = now.year * 12 + now.month - 1 + months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def write_lines(database_url: str, lines: Iterable[Line]) -> None:
    """Add the lines as the owner of the table."""
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY ledger_entries ({_COLUMNS}) FROM STDIN") as copy:
            for line in lines:
                copy.write_row(_row(line))
        cursor.execute("ANALYZE ledger_entries")


def _row(line: Line) -> Sequence[Any]:
    return (
        *(line.job_id, line.attempt, line.call, line.entry, line.organization_id, line.project_id, line.key_id),
        *(line.job_id, datetime.now(UTC), line.kind, line.capability, line.provider, line.model),
        *(line.model_version, []),
        *(orjson.dumps(line.quantities).decode(), orjson.dumps(line.amounts).decode(), line.amount_usd),
        *(line.amount_usd, line.estimated, line.reason, [], None, orjson.dumps(line.labels).decode()),
    )


def finished_jobs(
    organization_id: UUID, projects: Sequence[UUID], keys: Sequence[UUID], count: int, seed: int = 7
) -> Iterator[Line]:
    """What `count` jobs of the last and this month left: intents, settlements, estimates, corrections, lost workers."""
    chance = random.Random(seed)
    span = month_start(1) - month_start(-1)
    for _ in range(count):
        moment = month_start(-1) + timedelta(seconds=chance.uniform(0, span.total_seconds() - 1))
        project = chance.choice(projects)
        base = Line(
            organization_id,
            project,
            chance.choice([*keys, None]),
            id_at(moment),
            attempt=chance.choice([1, 1, 1, 2]),
            capability=chance.choice(CAPABILITIES),
            labels={"team": chance.choice(["red", "blue", "grün"])} if chance.random() < 0.7 else {},
        )
        for call in range(1, chance.randint(1, 3) + 1):
            yield from _call(chance, replace(base, call=call))


def _call(chance: random.Random, line: Line) -> Iterator[Line]:
    provider, model, price = chance.choice(MODELS)
    line = replace(line, provider=provider, model=model)
    yield replace(line, kind="intent", entry=0)
    if chance.random() < 0.02:
        yield replace(line, amount_usd=to_money(Decimal(chance.random())), estimated=True, reason="worker_lost")
        return
    quantities = {
        kind: str(chance.randint(1, 9_999)) for kind in ("input_tokens", "cached_input_tokens", "output_tokens")
    }
    amounts = {kind: to_money(Decimal(quantity) * Decimal(price)) for kind, quantity in quantities.items()}
    total = sum(amounts.values(), start=ZERO)
    shown = {kind: format_money(amount) for kind, amount in amounts.items()}
    yield replace(line, amount_usd=total, quantities=quantities, amounts=shown, estimated=chance.random() < 0.1)
    if chance.random() < 0.03:
        yield replace(line, kind="correction", entry=2, amount_usd=-to_money(total / 3), reason="billed twice")
