"""Decides where a webhook may be sent: parses the URL strictly, resolves its name once, and checks every address.

The result carries the checked addresses, and a sender connects only to one of them, so that a resolver that changes
its answer between two queries gains nothing.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import idna

from core.kit.names import LOOKUP_SECONDS, LOOKUPS
from core.kit.settings import Settings
from core.webhooks.addresses import Address, Network, is_public, is_within, parse_address
from core.webhooks.errors import TargetRefused

URL_MAX_CHARACTERS = 2048
_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# How a URL parser detects an address in disguise (WHATWG URL, "ends in a number"): 0x7f.1, 017700000001, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_IPV4 = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}", re.ASCII)
# RFC 6761, RFC 6762, RFC 8375 and names that clouds and clusters reserve.
_PRIVATE_SUFFIXES = frozenset(
    ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "arpa", "onion")
)
_NAME_MAX_CHARACTERS = 253

Resolver = Callable[[str, int], Sequence[str]]


class Unresolvable(TargetRefused):
    """The name currently has no address."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: one of `addresses`, in this order; `host` is the name for TLS and the Host header."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of `host`, from the system's resolver. Raises OSError, within three seconds."""
    return LOOKUPS.resolve(host, port)


class TargetPolicy:
    """Decides about URLs. `webhook_allowed_networks` and `webhook_allowed_hosts` open private networks."""

    def __init__(self, settings: Settings, resolver: Resolver = resolve) -> None:
        self._networks: tuple[Network, ...] = tuple(
            ip_network(each, strict=False) for each in settings.webhook_allowed_networks
        )
        self._hosts = frozenset(each.rstrip(".").lower() for each in settings.webhook_allowed_hosts)
        self._ports = frozenset(settings.webhook_ports)
        self._resolver = resolver

    def check(self, url: str) -> Target:
        """Where a request to `url` may connect, resolved now. Raises `TargetRefused`, or its subclass `Unresolvable`.

        An http URL, another port, or a name of a private network needs a host or addresses that the operator allowed.
        Blocks for three seconds at most.
        """
        where = self._examine(url)
        try:
            found = self._resolver(where.host, where.port) if where.literal is None else ()
        except (OSError, UnicodeError) as error:
            raise _unresolvable(where.host) from error
        return self._judge(where, found)

    async def check_soon(self, url: str) -> Target:
        """Like `check` with the system's resolver, for an event loop: occupies no shared thread meanwhile."""
        where = self._examine(url)
        found: Sequence[str] = ()
        if where.literal is None:
            asked = asyncio.wrap_future(LOOKUPS.start(where.host, where.port))
            try:
                # Shielded: others may wait for the same result.
                found = await asyncio.wait_for(asyncio.shield(asked), LOOKUP_SECONDS)
            except (OSError, UnicodeError) as error:
                asked.add_done_callback(_ignore)
                raise _unresolvable(where.host) from error
        return self._judge(where, found)

    def _examine(self, url: str) -> "_Place":
        scheme, host, port, path = _take_apart(url)
        literal = _literal(host)
        if literal is None and host not in self._hosts:
            _check_name(host)
        return _Place(scheme, host, port, path, literal)

    def _judge(self, where: "_Place", found: Sequence[str]) -> Target:
        addresses = (where.literal,) if where.literal is not None else _parse(where.host, found)
        is_private = where.host in self._hosts or all(is_within(address, self._networks) for address in addresses)
        if not is_private:
            # One refused address is enough: which of them a connection would use is not under our control.
            if not all(is_public(address) or is_within(address, self._networks) for address in addresses):
                raise TargetRefused("address_refused", "it leads to an address that is not on the public internet")
            if where.scheme != "https":
                raise TargetRefused("https_required", "begin with https://")
            if self._ports and where.port not in self._ports:
                allowed = ", ".join(str(each) for each in sorted(self._ports))
                raise TargetRefused("port_refused", f"use one of the ports {allowed}")
        return Target(where.scheme, where.host, where.port, where.path, tuple(str(each) for each in addresses))


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None


def _ignore(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()


def _unresolvable(host: str) -> Unresolvable:
    return Unresolvable("host_unresolvable", f"the name {host} has no address, or none that was found in time")


def _parse(host: str, found: Sequence[str]) -> tuple[Address, ...]:
    if not found:
        raise _unresolvable(host)
    try:
        return tuple(parse_address(each) for each in found)
    except ValueError as error:
        raise TargetRefused("address_refused", "it leads to an address that cannot be judged") from error


def _take_apart(url: str) -> tuple[str, str, int, str]:
    """Scheme, host in lower case and ASCII, port, and path with query. Refuses the rest: parsers disagree about it."""
    if len(url) > URL_MAX_CHARACTERS:
        raise TargetRefused("url_too_long", f"at most {URL_MAX_CHARACTERS} characters")
    if not url.isprintable() or any(character in ' \\"<>^`{|}' for character in url):
        raise TargetRefused("url_malformed", "write white space, backslashes and quotes in percent form")
    try:
        parts = urlsplit(url)
        scheme, authority, given_port = parts.scheme, parts.netloc, parts.port
    except ValueError as error:
        raise TargetRefused("url_malformed", "write https://host/path") from error
    if scheme not in _PORTS or not url[len(scheme) :].startswith("://"):
        raise TargetRefused("scheme_refused", "begin with https://")
    if "@" in authority:
        raise TargetRefused("credentials_refused", "leave user and password out; requests are signed instead")
    if parts.fragment or url.endswith("#"):
        raise TargetRefused("fragment_refused", "leave out what follows #; it is never sent")
    if not parts.path.isascii() or not parts.query.isascii():
        raise TargetRefused("url_malformed", "write other than ASCII characters in percent form")
    if authority.endswith(":") or given_port == 0:
        raise TargetRefused("port_refused", "leave the port out, or name one")
    port = _PORTS[scheme] if given_port is None else given_port
    host = _host(parts.hostname or "", is_bracketed=authority.startswith("["))
    path = parts.path or "/"
    return scheme, host, port, f"{path}?{parts.query}" if parts.query else path


def _host(given: str, *, is_bracketed: bool) -> str:
    host = given.lower()
    if is_bracketed:
        if ":" not in host:
            raise TargetRefused("host_malformed", "brackets hold an IPv6 address")
        return host
    host = host.removesuffix(".")
    if not host.isascii():
        try:
            # UTS 46 maps look-alikes, among them full-width digits and dots, to the characters that a resolver gets.
            host = idna.encode(host, uts46=True).decode().lower()
        except idna.IDNAError as error:
            raise TargetRefused("host_malformed", "that is no host name") from error
    if not host or len(host) > _NAME_MAX_CHARACTERS or not all(_LABEL.fullmatch(each) for each in host.split(".")):
        raise TargetRefused("host_malformed", "that is no host name")
    return host


def _literal(host: str) -> Address | None:
    """The address written in `host`, or None for a name. Raises `TargetRefused` for one in disguise."""
    if ":" in host or _IPV4.fullmatch(host):
        try:
            return parse_address(host)
        except ValueError as error:
            raise TargetRefused("host_malformed", "that is no address") from error
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise TargetRefused("host_malformed", "write an address as four decimal numbers")
    return None


def _check_name(host: str) -> None:
    head, _, suffix = host.rpartition(".")
    if not head:
        raise TargetRefused("host_private", "name a host with its domain")
    if suffix in _PRIVATE_SUFFIXES:
        raise TargetRefused("host_private", f"names under .{suffix} belong to private networks")
