"""The result of a check."""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check: `found` describes the state; `remedy` says what to do unless the check passed.

    ``warn`` means that Waybill works, with a drawback that the check names; ``fail`` means that it does not.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Check:
    """The check passed."""
    return Check(name, "ok", found)


def warn(name: str, found: str, remedy: str) -> Check:
    """It works, with a drawback."""
    return Check(name, "warn", found, remedy)


def fail(name: str, found: str, remedy: str) -> Check:
    """It does not work."""
    return Check(name, "fail", found, remedy)


def one_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def is_this_machine(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine's loopback interface."""
    try:
        return ip_address(socket.gethostbyname(host)).is_loopback
    except (OSError, ValueError):
        return False
