"""Sealing and verifying 100,000 audit records, in batches as the dispatcher seals them.

``python -m tests.bench audit``.
"""

import shutil
import tempfile
from pathlib import Path
from time import perf_counter

from pydantic import SecretStr

from core.audit.sealer import SEALED_MAX, seal_once
from core.kit.db import Database
from core.kit.migrate import upgrade
from core.kit.settings import Settings
from tests.bench.rows import Row, bounded
from tests.factories.audit import Trail
from waybill.stack.postgres import EmbeddedPostgres

_RECORDS = 100_000
_ROUNDS = 3


def run() -> list[Row]:
    """The rows of this benchmark; the slowest of three verifications counts."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-bench-"))
    postgres = EmbeddedPostgres(folder / "postgres", settings={})
    postgres.start()
    try:
        upgrade(postgres.url)
        settings = Settings(home=folder, database_url=SecretStr(postgres.url), database_statement_timeout_seconds=120)
        database = Database(settings, application_name="bench", pool_size=2)
        try:
            return _measure(Trail(database))
        finally:
            database.close()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _measure(trail: Trail) -> list[Row]:
    trail.write_many(_RECORDS)
    began = perf_counter()
    while seal_once(trail.database, trail.signer, SEALED_MAX):
        pass
    sealing = perf_counter() - began
    rounds = []
    for _ in range(_ROUNDS):
        began = perf_counter()
        report = trail.verify()
        rounds.append(perf_counter() - began)
        assert report.is_intact
        assert report.records == _RECORDS
    broken = _RECORDS - 7
    trail.tamper(
        "UPDATE audit_records SET actor_id = 'x' WHERE organization_id = %(organization)s AND sequence = %(sequence)s",
        sequence=broken,
    )
    assert [finding.first_sequence for finding in trail.verify().findings] == [broken]
    return [
        bounded("audit_verify_100000", "s", max(rounds), at_most=10.0),
        Row("audit_seal_rate", round(_RECORDS / sealing), "records/s"),
    ]
