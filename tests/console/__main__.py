"""Takes a picture of every page, light and dark, wide and narrow, into ``build/console``.

Those of the documentation go where it shows them. Starts a database, Valkey and the API, fills two companies, and
drives Debian's Chromium.
"""

import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import SecretStr

from core.kit.migrate import upgrade
from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.console.showcase import showcase
from tests.factories.api import RunningApi, issue_key, probe_capabilities, running_api
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
    "all-projects": "/console/jobs?project=all&since=24h",
    "compare": "/console/jobs/{ended_id}/diff?with={failed_id}",
    "compare-choose": "/console/jobs/{ended_id}/diff",
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
    "knowledge": "/console/knowledge",
    "knowledge-base": "/console/knowledge/{base_id}",
    "document": "/console/knowledge/{base_id}/documents/{document_id}",
    "playground": "/console/playground?capability=knowledge.search",
    "playground-result": "/console/playground?job={ended_id}",
    "organization": "/console/admin",
    "projects": "/console/admin/projects",
    "members": "/console/admin/members",
    "keys": "/console/admin/keys",
    "limits": "/console/admin/limits",
    "guard": "/console/admin/guard",
    "webhooks": "/console/admin/webhooks",
    "webhook": "/console/admin/webhooks/{endpoint_id}",
    "delivery": "/console/admin/webhooks/deliveries/{delivery_id}",
    "retention": "/console/admin/retention",
    "audit": "/console/admin/audit",
    "proof": "/console/admin/audit/{record_id}/proof",
    "verification": "/console/admin/audit/verify",
    "installation": "/console/admin/installation",
    "sessions": "/console/sessions",
    "nowhere": "/console/nowhere",
}
# What a project without anything shows: what to do next.
EMPTY = {
    "empty-jobs": "/console/jobs",
    "empty-approvals": "/console/approvals",
    "empty-overview": "/console/overview",
    "empty-money": "/console/money",
    "empty-budgets": "/console/money/budgets",
    "empty-statement": "/console/money/statement",
    "empty-quality": "/console/quality",
    "empty-labels": "/console/quality/labels",
    "empty-runs": "/console/quality/runs",
    "empty-experiments": "/console/quality/experiments",
    "empty-knowledge": "/console/knowledge",
    "empty-playground": "/console/playground",
    "empty-webhooks": "/console/admin/webhooks",
}
# The pictures of docs/howto/use-the-console.md, from the address to the part of the page that they show.
DOCS = {
    "jobs": "/console/jobs?project=all",
    "job": "/console/jobs/{answered_id}",
    "approval": "/console/approvals/{asking_id}",
    "playground": "/console/playground?job={answered_id}",
    "overview": "/console/overview?span=7d",
    "money": "/console/money?from={month}&last={yesterday}",
    "statement": "/console/money/statement",
    "quality": "/console/quality?span=30d&capability=knowledge.search&signal=quotes_verified",
    "experiment": "/console/quality/experiments/{experiment_id}",
    "audit": "/console/admin/audit",
}
DOCS_FOLDER = ROOT / "docs" / "howto" / "console"


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


def picture_docs(browser: Any, api: RunningApi) -> None:
    """Take the pictures that the documentation shows, and print a statement."""
    own, shown = showcase(api)
    page = browser.new_page(viewport={"width": 1320, "height": 800})
    sign_in(page, own)
    DOCS_FOLDER.mkdir(exist_ok=True)
    for title, path in DOCS.items():
        page.goto(api.url + path.format(**shown))
        page.wait_for_load_state("networkidle")
        page.screenshot(path=BUILD / f"docs-{title}.png")
        shrink(BUILD / f"docs-{title}.png", DOCS_FOLDER / f"{title}.png")
    page.goto(f"{api.url}/console/money/statement")
    # What a printer would get.
    page.pdf(path=BUILD / "statement.pdf", format="A4")
    page.close()


def shrink(source: Path, target: Path) -> None:
    """Write a picture with 64 colors, which a page of text and bars needs at most."""
    with Image.open(source) as picture:
        picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)


def take(page: Any, url: str, name: str) -> None:
    """Take a picture of a page when nothing of it is loading."""
    page.goto(url)
    page.wait_for_load_state("networkidle" if "running" not in name else "load")
    page.screenshot(path=BUILD / f"{name}.png", full_page=True)


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
                    take(page, api.url + path.format(**things), f"{title}-{scheme}-{name}")
                page.close()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        sign_in(page, replace(api, key=issue_key(api.settings, organization="newcomers")))
        for title, path in EMPTY.items():
            take(page, api.url + path, title)
        page.close()
        picture_docs(browser, api)
    sys.stdout.write(f"{len(list(BUILD.glob('*.png')))} pictures in {BUILD}\n")


if __name__ == "__main__":
    main()
