"""Generated requests against the published document: no 500, no undocumented answer, no schema that lies."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.kit.settings import Settings
from core.webhooks.targets import Target, TargetPolicy
from tests.factories.api import RunningApi, running_api
from tests.factories.plain_analyzer import PlainAnalyzer

pytestmark = pytest.mark.heavy

_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,"
    "allow_header_conformance,use_after_free,ignored_auth"
)


class _Answered(TargetPolicy):
    """Asks its own resolver on the event loop too."""

    async def check_soon(self, url: str) -> Target:
        return self.check(url)


@pytest.fixture(scope="module")
def api(module_settings: Settings) -> Iterator[RunningApi]:
    """An API whose long polls are short: no worker runs here, so every generated `wait` lasts as long as it may."""
    with running_api(module_settings.model_copy(update={"api_wait_max_seconds": 1})) as running:
        # The examples name hosts of the public internet, which no test asks about.
        running.runtime.webhook_targets = _Answered(running.settings, lambda _host, _port: ("93.184.215.14",))
        # Without an analyzer, screening is refused with 503, as it should be.
        absent, running.runtime.analyzer = running.runtime.analyzer, PlainAnalyzer()  # type: ignore[assignment]
        with running.client("") as client:
            # It takes longer to make beside other tests than a generated request may.
            client.get("/openapi.json", timeout=120)
        yield running
        running.runtime.analyzer = absent


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("phases", "examples"), [("examples,coverage,fuzzing", 15), ("stateful", 60)])
def test_generated_requests_find_no_failure(api: RunningApi, tmp_path: Path, phases: str, examples: int) -> None:
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{api.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {api.key.plaintext}"),
        *("--checks", _CHECKS),
        *("--phases", phases),
        *("--max-examples", f"{examples}", "--seed", "7", "--request-timeout", "10", "--no-color"),
        *("--exclude-path-regex", "/events$"),
        # Hints about the document, which fail nothing.
        *("--warnings", "off"),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=1400, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    tested = re.search(r"(\d+) tested", done.stdout) or re.search(r"Tested:\s+(\d+)", done.stdout)
    assert tested is not None, done.stdout[-3000:]
    assert int(tested[1]) >= 12
