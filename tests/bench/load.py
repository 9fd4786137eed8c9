"""A small HTTP/1.1 load generator: keep-alive connections on loopback, closed loop or at a fixed rate.

It parses just enough of a response to time it, so that two cores are left to the servers under test.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any


@dataclass
class Outcome:
    """Latencies in seconds, the wall time they took, and what was not a 2xx."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    refused: int = 0

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """The latency in seconds below which `share` of the answers lie."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Target:
    """A POST that is repeated."""

    def __init__(self, port: int, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self.port = port
        payload = json.dumps(body).encode()
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Content-Type: application/json",
            f"Content-Length: {len(payload)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        self.request = "\r\n".join([*lines, "", ""]).encode() + payload


async def _once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target, outcome: Outcome) -> None:
    began = perf_counter()
    writer.write(target.request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    outcome.latencies.append(perf_counter() - began)
    if not head.startswith(b"HTTP/1.1 2"):
        outcome.refused += 1


async def _closed(targets: Sequence[Target], clients: int, requests: int) -> Outcome:
    outcome = Outcome()
    left = iter(range(requests))

    async def client(target: Target) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        for _ in left:
            await _once(reader, writer, target, outcome)
        writer.close()

    began = perf_counter()
    await asyncio.gather(*(client(targets[number % len(targets)]) for number in range(clients)))
    outcome.seconds = perf_counter() - began
    return outcome


async def _paced(target: Target, clients: int, per_second: float, requests: int) -> Outcome:
    outcome = Outcome()
    began = perf_counter()

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        for index in range(number, requests, clients):
            await asyncio.sleep(max(0.0, began + index / per_second - perf_counter()))
            await _once(reader, writer, target, outcome)
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    outcome.seconds = perf_counter() - began
    return outcome


def closed_loop(target: Target, *, clients: int, requests: int) -> Outcome:
    """`clients` connections, each sending its next request when the last was answered; `requests` in all."""
    return asyncio.run(_closed([target], clients, requests))


def closed_loop_over(targets: Sequence[Target], *, requests: int) -> Outcome:
    """As `closed_loop`, with one connection for each of `targets`."""
    return asyncio.run(_closed(targets, len(targets), requests))


def paced(target: Target, *, clients: int, per_second: float, requests: int) -> Outcome:
    """`requests` in all at a fixed total rate, spread over `clients` connections."""
    return asyncio.run(_paced(target, clients, per_second, requests))
