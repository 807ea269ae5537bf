"""Requests that may be sent again: what is stored of one, and how a repetition is recognised."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from app.errors import IdempotencyKeyReused


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

    def check_repeats(self, stored_fingerprint: str | None) -> None:
        """Raise IdempotencyKeyReused unless the stored request is this very one."""
        if stored_fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
