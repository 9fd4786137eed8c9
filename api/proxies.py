"""The client address of a connection or request, for limits by address."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network

from starlette.types import Scope

_REMEMBERED_MAX = 4096
# The prefix that a provider gives to one customer (RFC 6177): a customer with a /64 has all of its addresses.
_CUSTOMER_PREFIX = 64


class TrustedProxies:
    """The networks of `Settings.api_trusted_proxies`. Their own addresses are not counted.

    The server itself replaces a trusted proxy's address with the one in its ``X-Forwarded-For``, so that `of_request`
    sees the client's. Without that header the client is unknown, and no limit by address applies.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = tuple(ip_network(each, strict=False) for each in networks)
        self.of_host = lru_cache(_REMEMBERED_MAX)(self._of_host)

    def of_request(self, scope: Scope) -> str | None:
        """The client's address, an IPv6 one as its /64; None for one that is not to be counted."""
        client = scope.get("client")
        return None if client is None else self.of_host(client[0])

    def _of_host(self, host: str) -> str | None:
        try:
            address = ip_address(host)
        except ValueError:
            return None  # a Unix socket, or a proxy that writes something else
        if not isinstance(address, IPv4Address):
            address = address.ipv4_mapped or address
        if any(address in network for network in self._networks):
            return None
        if isinstance(address, IPv4Address):
            return str(address)
        return str(ip_network((address, _CUSTOMER_PREFIX), strict=False))
