"""What each container may see and do: secrets, privileges, networks. Every check returns what is wrong."""

import os
from collections.abc import Iterator
from pathlib import Path

from core.kit.processes import SECRETS, Process
from tests.containers.engine import EngineFailed, Project, podman

_NET_BIND_SERVICE = 1 << 10
_RUN_A_PROGRAM = """
import psycopg
from core.kit.settings import get_settings
with psycopg.connect(get_settings().database_url.get_secret_value()) as connection:
    connection.execute("SET LOCAL ROLE waybill_system")
    connection.execute("RESET ROLE")
    try:
        connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
    except psycopg.errors.InsufficientPrivilege:
        print("refused")
"""


def leaked_secrets(project: Project) -> list[str]:
    """Secrets that stand in the environment or in the arguments of any process of any container."""
    secrets = {path.name: path.read_bytes().strip() for path in project.secrets.iterdir()}
    found = []
    for service, pid in project.containers().items():
        for process in _processes_of(pid):
            for file in ("environ", "cmdline"):
                shown = _read(process / file)
                found += [f"{name} in {file} of {service}" for name, value in secrets.items() if value in shown]
    return found


def excessive_secrets(project: Project) -> list[str]:
    """Secrets that a container of the product holds beyond those of its kind of process."""
    found = []
    for service, pid in project.containers().items():
        kind = service.partition("-")[0]
        if kind in set(Process):
            folder = Path(f"/proc/{pid}/root/run/secrets")
            held = {path.name for path in folder.iterdir()}
            beyond = {name for name in held if name.removeprefix("WAYBILL_").lower() not in SECRETS[Process(kind)]}
            found += [f"{name} in {service}" for name in sorted(beyond)]
    return found


def excessive_privileges(project: Project) -> list[str]:
    """Containers with capabilities, without no_new_privs, or that can write to their image."""
    found = []
    for service, pid in project.containers().items():
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        capabilities = int(status["CapEff"], 16) | int(status["CapBnd"], 16)
        if capabilities & ~(_NET_BIND_SERVICE if service == "proxy" else 0):
            found.append(f"{service} has the capabilities {capabilities:#x}")
        if status["NoNewPrivs"] != "1":
            found.append(f"{service} may gain privileges")
        if not os.statvfs(f"/proc/{pid}/root/").f_flag & os.ST_RDONLY:
            found.append(f"{service} can write to its image")
    return found


def open_ways(project: Project) -> list[str]:
    """What is published besides the proxy, reached across networks, or done in the database beyond a login's rights."""
    found = []
    for service in project.containers():
        published = podman("port", project.container(service)).split()
        if published and service != "proxy":
            found.append(f"{service} is published: {' '.join(published)}")
    for service, address in (("flower", ("postgres", 5432)), ("deliverer", ("azurite", 10000))):
        if _succeeds(project, service, f"import socket; socket.create_connection({address!r}, 2)"):
            found.append(f"{service} reaches {address[0]}")
    found += [
        f"{service}'s login runs programs on the database's machine"
        for service in ("api-1", "worker-models", "dispatcher-1", "deliverer")
        if project.execute(service, "python", "-c", _RUN_A_PROGRAM).strip() != "refused"
    ]
    return found


def _succeeds(project: Project, service: str, code: str) -> bool:
    try:
        project.execute(service, "python", "-c", code)
    except EngineFailed:
        return False
    return True


def _processes_of(pid: int) -> Iterator[Path]:
    """The processes that share the process namespace of `pid`."""
    namespace = Path(f"/proc/{pid}/ns/pid").readlink()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "ns" / "pid").readlink() == namespace:
                yield process
        except OSError:
            continue


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
