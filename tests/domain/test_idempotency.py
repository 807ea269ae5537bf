"""A repeated request is known by its key and content, and answered as it was at first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from app.theatre.idempotency import IdempotentRequest, KeyTaken, Outcome, once
from app.theatre.refusals import IdempotencyKeyReused, SoldOut


@dataclass
class Thing:
    request_fingerprint: str | None


def request(key: str = "key-12345", **fields: Any) -> IdempotentRequest:
    made = IdempotentRequest.of(key, **{"name": "Asha", "date": date(2026, 11, 22), **fields})
    assert made
    return made


def never(key: str) -> Thing | None:
    pytest.fail("no key, nothing to look for")


def never_seen(key: str) -> Thing | None:
    return None


def refuse() -> Thing:
    raise SoldOut


def clash() -> Thing:
    raise KeyTaken


def test_without_a_key_each_request_is_a_new_one() -> None:
    assert IdempotentRequest.of(None, name="Asha") is None
    new = Thing(None)
    assert once(None, lambda: new, never) == Outcome(new, replayed=False)
    with pytest.raises(SoldOut):
        once(None, refuse, never)


def test_a_new_key_acts() -> None:
    new = Thing(request().fingerprint)
    assert once(request(), lambda: new, never) == Outcome(new, replayed=False)
    with pytest.raises(SoldOut):
        once(request(), refuse, never_seen)


@pytest.mark.parametrize("act", [refuse, clash])
def test_a_repeated_request_is_answered_as_it_was(act: Any) -> None:
    earlier = Thing(request().fingerprint)
    assert once(request(), act, {"key-12345": earlier}.get) == Outcome(earlier, replayed=True)


@pytest.mark.parametrize("act", [refuse, clash])
@pytest.mark.parametrize("change", [{"name": "Ravi"}, {"date": None}, {"amount": 1}])
def test_another_request_with_its_key_is_refused(act: Any, change: dict[str, Any]) -> None:
    earlier = Thing(request().fingerprint)
    with pytest.raises(IdempotencyKeyReused):
        once(request(**change), act, {"key-12345": earlier}.get)


def test_a_key_that_was_freed_meanwhile_is_new() -> None:
    new = Thing(request().fingerprint)
    acts: Iterator[Callable[[], Thing]] = iter([clash, lambda: new])
    assert once(request(), lambda: next(acts)(), never_seen) == Outcome(new, replayed=False)
