"""Which addresses a name resolves to, and which of them can be listened on."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from app.web.addresses import to_listen_on

V4, V6 = socket.AF_INET, socket.AF_INET6


def answer(*addresses: tuple[socket.AddressFamily, str]) -> list[Any]:
    return [
        (
            family,
            socket.SOCK_STREAM,
            6,
            "",
            (address, 5000) if family == V4 else (address, 5000, 0, 0),
        )
        for family, address in addresses
    ]


def listened_on(host: str) -> list[str]:
    return [address[0] for _, address in to_listen_on(host, 5000)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::", "192.0.2.1"])
def test_an_address_resolves_to_itself(host: str) -> None:
    assert listened_on(host) == [host]


@pytest.mark.parametrize("host", ["localhost", "LocalHost.", "box.localhost"])
def test_localhost_is_both_loopback_addresses_regardless_of_the_resolver(host: str) -> None:
    assert listened_on(host) == ["127.0.0.1", "::1"]


def test_a_name_resolves_to_each_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answer((V6, "2001:db8::1"), (V4, "192.0.2.1"), (V4, "192.0.2.1"), (V4, "192.0.2.2"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert listened_on("box.theatre.example") == ["2001:db8::1", "192.0.2.1", "192.0.2.2"]


class WithoutIPv6(socket.socket):
    """A socket of a machine where IPv6 is switched off."""

    def bind(self, address: Any) -> None:
        if ":" in address[0]:
            raise OSError(99, "Cannot assign requested address")
        super().bind(address)


def test_a_disabled_address_family_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", WithoutIPv6)
    assert listened_on("localhost") == ["127.0.0.1"]
    # The only address is kept, so that listening on it raises the error.
    assert listened_on("::1") == ["::1"]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "h" * 64, "a..b", "999.1.1.1"])
def test_a_name_without_an_address_is_refused(host: str) -> None:
    with pytest.raises(OSError, match=r"not known|not a host name") as refusal:
        to_listen_on(host, 5000)
    assert refusal.value.strerror
