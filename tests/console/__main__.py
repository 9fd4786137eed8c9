"""Takes a picture of every page, light and dark, wide and narrow, into ``build/console``.

Starts a database, Valkey and the API, fills a project, and drives Debian's Chromium.
"""

import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from core.kit.migrate import upgrade
from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.api import RunningApi, probe_capabilities, running_api
from tests.factories.chromium import open_browser, sign_in
from tests.factories.console_figures import fill, made_figures
from tests.factories.console_things import made_things
from tests.factories.processes import ROOT
from waybill.stack.postgres import EmbeddedPostgres
from waybill.stack.valkey import EmbeddedValkey

BUILD = ROOT / "build" / "console"
SIZES = {"wide": (1280, 900), "narrow": (360, 760)}
TEXT = "The parcel for order 4711 has not arrived since Monday. Please send it again, or give me the money back."
PAGES = {
    "jobs": "/console/jobs",
    "failed": "/console/jobs?state=failed&since=24h",
    "job": "/console/jobs/{ended_id}",
    "running": "/console/jobs/{running_id}",
    "waybill": "/console/jobs/{ended_id}/waybill",
    "approvals": "/console/approvals",
    "approval": "/console/approvals/{asking_id}",
    "overview": "/console/overview?span=7d",
    "money": "/console/money?from={month}",
    "money-groups": "/console/money?group_by=capability,label:team",
    "budgets": "/console/money/budgets",
    "budget": "/console/money/budgets/{budget_id}?limit_usd=2",
    "statement": "/console/money/statement",
    "prices": "/console/money/prices?provider=openai&model=gpt-4o",
    "quality": "/console/quality?span=30d",
    "quality-series": "/console/quality?span=30d&capability=knowledge.search&signal=quotes_verified",
    "quality-changes": "/console/quality/alerts",
    "quality-change": "/console/quality/alerts/{alert_id}",
    "labels": "/console/quality/labels",
    "label": "/console/quality/labels/{case_id}",
    "runs": "/console/quality/runs",
    "experiments": "/console/quality/experiments",
    "experiment": "/console/quality/experiments/{experiment_id}",
    "sessions": "/console/sessions",
    "nowhere": "/console/nowhere",
}


@contextmanager
def stack() -> Iterator[RunningApi]:
    """An API on servers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        postgres, valkey = EmbeddedPostgres(home / "postgres"), EmbeddedValkey(home / "valkey")
        postgres.start()
        valkey.start()
        try:
            upgrade(postgres.url)
            settings = Settings(
                home=home,
                database_url=SecretStr(postgres.url),
                redis_url=SecretStr(valkey.url),
                secret_key=SecretStr(secrets.token_urlsafe(32)),
                pseudonym_key=SecretStr(secrets.token_urlsafe(32)),
                signing_key=SecretStr(generate_seed()),
            )
            with probe_capabilities(), running_api(settings) as api:
                yield api
        finally:
            valkey.stop()
            postgres.stop()


def main() -> None:
    """Take them."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with stack() as api, made_things(api, TEXT) as things, open_browser() as browser:
        things.update(made_figures(api, "gpt-4o-mini"))
        things["month"] = (datetime.now(UTC) - timedelta(days=20)).date().isoformat()
        fill(api, things["experiment_id"])
        for scheme in ("light", "dark"):
            for name, (width, height) in SIZES.items():
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto(f"{api.url}/console/sign-in")
                page.screenshot(path=BUILD / f"sign-in-{scheme}-{name}.png")
                sign_in(page, api)
                for title, path in PAGES.items():
                    page.goto(api.url + path.format(**things))
                    page.screenshot(path=BUILD / f"{title}-{scheme}-{name}.png", full_page=True)
                page.close()
    sys.stdout.write(f"{len(list(BUILD.glob('*.png')))} pictures in {BUILD}\n")


if __name__ == "__main__":
    main()
