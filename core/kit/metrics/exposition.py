"""Serves a process's metrics: in Prometheus' text format, or in OpenMetrics' if the scraper asks for it.

Only OpenMetrics has exemplars, and prometheus_client has none where processes share a folder.
"""

import os
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIServer

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead


def exposition(accept: str = "") -> tuple[bytes, str]:
    """The metrics and their content type; of all processes when they share a folder.

    `accept` is the scraper's header: OpenMetrics with exemplars if it names it, else Prometheus' text format.
    """
    encode, content_type = choose_encoder(accept)
    return encode(_registry()), content_type


def serve_metrics(port: int, host: str) -> tuple[WSGIServer, Thread]:
    """Answer ``GET /metrics`` on `port` from a daemon thread; returns both. Raises OSError when the port is taken."""
    return prometheus_client.start_http_server(port, addr=host, registry=_registry())


def drop_process(pid: int) -> None:
    """Drop the live gauges of a child process that ended; only needed when processes share a folder."""
    if _shared_folder() is not None:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _shared_folder() -> Path | None:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


def _registry() -> CollectorRegistry:
    if _shared_folder() is None:
        return prometheus_client.REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
