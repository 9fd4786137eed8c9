"""What a check found."""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: `found` says what is there; `remedy` says what to do unless all is well.

    ``warn`` means that Waybill works, at a cost that the check names; ``fail`` means that it does not.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, "ok", found)


def warn(name: str, found: str, remedy: str) -> Check:
    """It works, at a cost."""
    return Check(name, "warn", found, remedy)


def fail(name: str, found: str, remedy: str) -> Check:
    """It does not work."""
    return Check(name, "fail", found, remedy)


def one_line(error: BaseException) -> str:
    """The first line of what an exception says, or its type when it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def is_this_machine(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine's loopback interface."""
    try:
        return ip_address(socket.gethostbyname(host)).is_loopback
    except (OSError, ValueError):
        return False
