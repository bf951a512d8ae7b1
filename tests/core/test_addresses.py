"""Which addresses a tool may connect to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra.core.addresses import why_refused


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "this-network"),
        ("10.1.2.3", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("169.254.169.254", "link-local or cloud metadata"),
        ("100.100.100.200", "shared (carrier-grade NAT) or cloud metadata"),
        ("168.63.129.16", "cloud metadata"),
        ("192.0.0.192", "reserved"),
        ("198.18.0.1", "benchmarking"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved or broadcast"),
        ("255.255.255.255", "reserved or broadcast"),
        ("::1", "loopback"),
        ("::", "unspecified"),
        ("::ffff:127.0.0.1", "IPv4-mapped"),
        ("::ffff:8.8.8.8", "IPv4-mapped"),
        ("::127.0.0.1", "reserved"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b:1::7f00:1", "NAT64"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "zoned"),
        ("2606:4700::1%eth0", "zoned"),
        ("fec0::1", "reserved"),
        ("fd00:ec2::254", "private"),
        ("ff02::1", "multicast"),
        ("2001:0:7f00:1::", "reserved (Teredo and others)"),
        ("2002:7f00:1::", "6to4"),
        ("2001:db8::1", "documentation"),
        ("5f00::1", "reserved"),
        ("not an address", "unreadable"),
        ("127.1", "unreadable"),
    ],
)
def test_an_address_that_is_not_public_is_refused_by_its_kind(address: str, kind: str) -> None:
    assert why_refused(address) == kind


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "172.32.0.1", "192.0.1.1", "100.128.0.1", "2606:4700::1", "2a00:1450::1"],
)
def test_a_public_address_passes(address: str) -> None:
    assert why_refused(address) == ""


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_passes_that_python_knows_to_be_special(address: ipaddress.IPv4Address) -> None:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    if special:
        assert why_refused(str(address)) != ""
