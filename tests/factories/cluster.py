"""Valkey in cluster mode, as small as it gets: nodes that share out the hash slots between them."""

import contextlib
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.factories.waiting import wait_until
from waybill.stack.child import guarded
from waybill.stack.postgres import free_port
from waybill.stack.valkey import binary

_SLOTS = 16384


@contextlib.contextmanager
def valkey_cluster(folder: Path, nodes: int) -> Iterator[list[str]]:
    """A running cluster without replicas; yields the address of each node, in the order of their slots."""
    processes, ports = [], []
    try:
        for number in range(nodes):
            home = folder / f"node-{number}"
            home.mkdir(parents=True)
            port, bus = free_port(), free_port()
            options = {
                "port": port,
                "cluster-port": bus,
                "bind": "127.0.0.1",
                "dir": home,
                "cluster-enabled": "yes",
                "save": "",
            }
            words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
            with (home / "log").open("wb") as log:
                processes.append(subprocess.Popen(guarded([binary(), *words]), stdout=log, stderr=log))
            ports.append((port, bus))
        clients = [Redis(host="127.0.0.1", port=port) for port, _ in ports]
        for client in clients:
            wait_until(partial(_answers, client), timeout_seconds=20, what="a node of the cluster")
        share = _SLOTS // nodes
        for number, client in enumerate(clients):
            last = _SLOTS - 1 if number == nodes - 1 else (number + 1) * share - 1
            _command(client, "CLUSTER ADDSLOTSRANGE", number * share, last)
            _command(client, "CLUSTER SET-CONFIG-EPOCH", number + 1)
            if number:
                _command(clients[0], "CLUSTER MEET", "127.0.0.1", *ports[number])
        for client in clients:
            wait_until(partial(_agrees, client), timeout_seconds=30, what="the nodes to agree")
            client.close()
        yield [f"redis://127.0.0.1:{port}/0" for port, _ in ports]
    finally:
        for process in processes:
            process.kill()
            process.wait(10)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False


def _agrees(client: Redis) -> bool:
    return bool(_command(client, "CLUSTER INFO")["cluster_state"] == "ok")


def _command(client: Redis, *words: str | int) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
