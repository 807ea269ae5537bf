"""Repeated requests: a key, and a fingerprint of the request that first came with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class KeyTaken(Exception):
    """A store raises this, having written nothing, when it already has a request's key."""


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A key and a fingerprint of the request it came with; both are stored with the result."""

    key: str
    fingerprint: str

    @classmethod
    def of(cls, key: str | None, **request: Any) -> IdempotentRequest | None:
        """Return the request under its key, or None where the client sent no key.

        Fingerprints are stored, so a release must not change the fingerprint of the same fields.
        """
        if key is None:
            return None
        canonical = json.dumps(request, sort_keys=True, default=str)
        return cls(key, hashlib.sha256(canonical.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """The result of a request; `replayed` if an earlier request with the same key produced it."""

    result: Result
    replayed: bool
