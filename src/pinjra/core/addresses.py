"""An IP address -> why nobody who is not trusted may be led to it, or "".

A page's address comes from a model, which may have it from a page, and whoever owns a host's name chooses its address: neither
may lead into the operator's own network (server-side request forgery, DNS rebinding). The tables are the special-purpose
registries of IANA (RFC 6890 and its updates) and the two metadata services of clouds that live at addresses which look public.
IPv6 is refused unless known to be global unicast: an address that carries an IPv4 address inside (mapped, NAT64, 6to4, Teredo)
would lead around the IPv4 table.

Python's own `is_global` is not used: what it says of some of these differs between the Pythons we support.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # what a server that only this machine reaches listens on
_NETWORKS = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("127.0.0.0/8", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("169.254.0.0/16", "link-local or cloud metadata"),
        ("100.64.0.0/10", "shared (carrier-grade NAT) or cloud metadata"),
        ("168.63.129.16/32", "cloud metadata"),
        ("0.0.0.0/8", "this-network"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("198.18.0.0/15", "benchmarking"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
        ("::1/128", "loopback"),
        ("::/128", "unspecified"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("fe80::/10", "link-local"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("2001::/23", "reserved (Teredo and others)"),
        ("2002::/16", "6to4"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")


def why_refused(address: str) -> str:
    """Return what kind of not public address this is ("loopback"), or "" for a public one."""
    try:
        found = ip_address(address)
    except ValueError:
        return "unreadable"
    # A zone ("fe80::1%eth0") says which of this machine's interfaces to use: never a public address.
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        return "zoned"
    named = next((kind for network, kind in _NETWORKS if found in network), "")
    # SECURITY: of IPv6 everything that is not known to be global unicast is refused.
    return named or ("" if isinstance(found, IPv4Address) or found in _GLOBAL_UNICAST else "reserved")
