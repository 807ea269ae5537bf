"""A repeated request is known by its key and content."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.errors import IdempotencyKeyReused
from app.idempotency import IdempotentRequest


def request(key: str | None = "key-12345", **fields: object) -> IdempotentRequest | None:
    return IdempotentRequest.of(key, **{"name": "Asha", "date": date(2026, 11, 22), **fields})


def test_no_key_is_no_idempotent_request() -> None:
    assert request(key=None) is None


def test_the_same_request_repeats() -> None:
    first, second = request(), request()
    assert first
    assert second
    second.check_repeats(first.fingerprint)


@pytest.mark.parametrize("change", [{"name": "Ravi"}, {"date": None}, {"amount": 1}])
def test_another_request_does_not(change: dict[str, Any]) -> None:
    first, second = request(), request(**change)
    assert first
    assert second
    with pytest.raises(IdempotencyKeyReused):
        second.check_repeats(first.fingerprint)
