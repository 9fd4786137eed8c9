"""Arize Phoenix, a backend that takes OTLP, from an environment of its own: started, asked over its API, ended."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port

PROGRAM = ROOT / "build" / "phoenix" / "bin" / "phoenix"
_PROJECT = "default"
_PAGE = 1000


@dataclass(frozen=True)
class Seen:
    """A span as Phoenix tells of it."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    raw: str

    @cached_property
    def job_id(self) -> str | None:
        """Whose span it is."""
        return self.attributes.get("waybill.job.id")


@dataclass(frozen=True)
class Phoenix:
    """A running server."""

    url: str
    log: Path

    def spans(self) -> dict[str, Seen]:
        """All spans that it holds, by their ids."""
        found: dict[str, Seen] = {}
        cursor = None
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
            while True:
                query = {"limit": _PAGE, **({"cursor": cursor} if cursor else {})}
                answer = client.get(f"/v1/projects/{_PROJECT}/spans/otlpv1", params=query)
                if answer.status_code == 404:
                    return found
                page = answer.raise_for_status().json()
                for span in map(_seen, page["data"]):
                    assert span.span_id not in found, f"{span.name} is there twice"
                    found[span.span_id] = span
                cursor = page.get("next_cursor")
                if not cursor:
                    return found


@contextmanager
def running_phoenix(folder: Path) -> Iterator[Phoenix]:
    """Phoenix with an empty database in `folder`, on loopback; it reports to nobody and fetches nothing."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PHOENIX_"))}
    settings = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
    }
    found = Phoenix(f"http://127.0.0.1:{port}", folder / "phoenix.log")
    with found.log.open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "serve"], env={**inherited, **settings}, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, found.log.read_text(errors="replace")[-2000:]
            try:
                return httpx.get(f"{found.url}/healthz", timeout=5, trust_env=False).is_success
            except httpx.HTTPError:
                return False

        wait_until(answers, timeout_seconds=180, what="Phoenix to start", pause_seconds=0.5)
        yield found
    finally:
        process.terminate()
        process.wait(30)


def _seen(span: Mapping[str, Any]) -> Seen:
    return Seen(
        trace_id=span["trace_id"],
        span_id=span["span_id"],
        parent_id=span.get("parent_span_id") or None,
        name=span["name"],
        start_ns=int(span["start_time_unix_nano"]),
        end_ns=int(span["end_time_unix_nano"]),
        attributes={each["key"]: _value(each["value"]) for each in span.get("attributes") or ()},
        raw=str(span),
    )


def _value(given: Mapping[str, Any]) -> Any:
    for kind, value in given.items():
        if value is None:
            continue
        if kind == "array_value":
            return [_value(each) for each in value.get("values", ())]
        return int(value) if kind == "int_value" else value
    return None
