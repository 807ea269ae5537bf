"""Host names and IP addresses: which are loopback ones, and which to listen on."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

_LOOPBACK = ("127.0.0.1", "::1")
_LOCALHOST = re.compile(r"(?:[a-z0-9_-]+\.)*localhost\.?", re.IGNORECASE)
_WITH_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::[0-9]*)?")

# An address family, and an address as sockets of that family take it.
SocketAddress = tuple[socket.AddressFamily, tuple[Any, ...]]


def without_port(address: str) -> str:
    """Return the name or IP address in `name`, `name:port`, `[IPv6]` or `[IPv6]:port`.

    Other text, such as an IPv6 address without brackets, is returned as it is.
    """
    found = _WITH_PORT.fullmatch(address)
    return found[1] or found[2] or "" if found else address


def parse_ip(address: str) -> IPv4Address | IPv6Address:
    """Parse an IP address; raises ValueError. An IPv4 address written as IPv6 becomes IPv4."""
    parsed = ip_address(address)
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


def is_loopback(name: str) -> bool:
    """Return whether a name or IP address always means this machine (RFC 6761, 6.3)."""
    if _LOCALHOST.fullmatch(name):
        return True
    try:
        return parse_ip(name.removesuffix(".")).is_loopback
    except ValueError:
        return False


def to_listen_on(host: str, port: int) -> list[SocketAddress]:
    """Return all addresses of `host`, except those of a disabled address family.

    Raises OSError if it has none.
    """
    # Browsers try both for localhost, of which the resolver may know only one.
    names = _LOOPBACK if _LOCALHOST.fullmatch(host) else (host,)
    found: dict[SocketAddress, None] = {}
    for name in names:
        try:
            name.encode("idna")
        except UnicodeError:
            raise socket.gaierror(socket.EAI_NONAME, "It is not a host name") from None
        answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in answers:
            found[family, address] = None
    return [each for each in found if _is_available(each[0])] or list(found)


def _is_available(family: socket.AddressFamily) -> bool:
    """Return whether this machine has a loopback address of the family; IPv6 may be disabled."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((_LOOPBACK[family == socket.AF_INET6], 0))
    except OSError:
        return False
    return True
