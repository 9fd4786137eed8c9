"""Which addresses a webhook may reach: the public internet, and exceptions that the operator has allowed.

Public is defined by the IANA special-purpose registries (RFC 6890) as `ipaddress` knows them. Also refused are
addresses that carry another one inside, and public addresses at which clouds serve their own machines.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # shared address space (RFC 6598); also where a cloud keeps its metadata service
        "168.63.129.16/32",  # Azure's platform address, public by registry
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/96",  # IPv4-compatible (RFC 4291), deprecated
        "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # local NAT64 (RFC 8215)
        "100::/64",
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4 (RFC 3056)
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",  # site-local (RFC 3879), deprecated
    )
)


def parse_address(text: str) -> Address:
    """The address in `text`; an IPv4-mapped one (RFC 4291, section 2.5.5.2) is the IPv4 address it stands for.

    Raises ValueError, also for an address with a zone, which only means something on one machine.
    """
    found = ip_address(text)
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            raise ValueError("an address with a zone")
        return found.ipv4_mapped or found
    return found


def is_public(address: Address) -> bool:
    """Whether `address` belongs to the public internet."""
    if address.is_multicast or not address.is_global:
        return False
    return not any(address.version == network.version and address in network for network in _REFUSED)


def is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether `address` lies in one of `networks`."""
    return any(address.version == network.version and address in network for network in networks)
