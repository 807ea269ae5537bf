"""Repeated requests: what is stored of each, and how a repetition gets the same response."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Generic, Protocol, TypeVar

from app.theatre.refusals import IdempotencyKeyReused, Refusal


class KeyTaken(Exception):
    """A store raises this, having written nothing, when it has a request's key already."""


class Stored(Protocol):
    """What is stored for a request, with the request's fingerprint if it had a key."""

    @property
    def request_fingerprint(self) -> str | None:
        """The fingerprint of the request that made it."""


Made = TypeVar("Made")
Result = TypeVar("Result", bound=Stored)


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A key and a fingerprint of the request it came with; both are stored with the result."""

    key: str
    fingerprint: str

    @classmethod
    def of(cls, key: str | None, **request: Any) -> IdempotentRequest | None:
        """Return the request under its key, or None where the client sent no key."""
        if key is None:
            return None
        canonical = json.dumps(request, sort_keys=True, default=str)
        return cls(key, hashlib.sha256(canonical.encode()).hexdigest())

    def as_document(self) -> dict[str, str]:
        """Return what is stored with the result of the request."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Made]):
    """What a request made; `replayed` when an earlier request with the same key had made it."""

    made: Made
    replayed: bool


def once(
    request: IdempotentRequest | None,
    act: Callable[[], Result],
    find_by_key: Callable[[str], Result | None],
) -> Outcome[Result]:
    """Return what `act` stored, or else what was stored when `request` first succeeded.

    `act` may raise KeyTaken or a Refusal. The Refusal is passed on only if the key is new, because
    a repeated request must not be refused for what has happened since. Raises IdempotencyKeyReused
    if the key came with another request.
    """
    while True:
        refusal = None
        try:
            return Outcome(act(), replayed=False)
        except KeyTaken:
            pass
        except Refusal as error:
            refusal = error
        earlier = find_by_key(request.key) if request else None
        if request and earlier:
            if earlier.request_fingerprint != request.fingerprint:
                raise IdempotencyKeyReused
            return Outcome(earlier, replayed=True)
        if refusal:
            raise refusal
        # Whatever had the key was deleted just now, so the key is free again.
