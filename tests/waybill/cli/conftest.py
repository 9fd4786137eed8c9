from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import typer.testing
from typer.testing import CliRunner, Result

from core.kit.settings import get_settings
from tests.factories.api import RunningApi
from waybill.cli.main import app

# Each invocation would build the tree of all commands anew, which takes longer than most of them.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Cli:
    """The command as a user runs it, in this process: with an environment of its own."""

    environment: dict[str, str | None]

    def __call__(self, *arguments: str, stdin: str | None = None, **environment: str | None) -> Result:
        get_settings.cache_clear()
        try:
            result = CliRunner().invoke(app, list(arguments), input=stdin, env={**self.environment, **environment})
        finally:
            get_settings.cache_clear()
        # The API that a test asks runs in this process too, and its log finds its way into what the runner captured.
        said = (result.stderr_bytes or b"").splitlines(keepends=True)
        result.stderr_bytes = b"".join(line for line in said if b'"service":"api"' not in line)
        return result


@pytest.fixture
def isolated(tmp_path: Path) -> Cli:
    """The command on a machine where nothing runs."""
    cleared = (
        "WAYBILL_URL",
        "WAYBILL_API_KEY",
        "WAYBILL_PSEUDONYM_KEY",
        "WAYBILL_SECRET_KEY",
        "WAYBILL_SIGNING_KEY",
        "DATABASE_URL",
        "REDIS_URL",
    )
    return Cli({"WAYBILL_HOME": str(tmp_path / "nobody"), **dict.fromkeys(cleared)})


@pytest.fixture
def cli(api: RunningApi, tmp_path: Path) -> Cli:
    """The command with a key for a running API."""
    settings = api.settings
    assert settings.database_url is not None
    assert settings.secret_key is not None
    assert settings.pseudonym_key is not None
    assert settings.signing_key is not None
    return Cli(
        {
            "WAYBILL_HOME": str(tmp_path / "home"),
            "WAYBILL_URL": api.url,
            "WAYBILL_API_KEY": api.key.plaintext,
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "WAYBILL_SECRET_KEY": settings.secret_key.get_secret_value(),
            "WAYBILL_PSEUDONYM_KEY": settings.pseudonym_key.get_secret_value(),
            "WAYBILL_SIGNING_KEY": settings.signing_key.get_secret_value(),
        }
    )
