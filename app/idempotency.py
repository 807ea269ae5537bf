"""Requests that may be sent again: the `Idempotency-Key` header and what is stored of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from app.errors import IdempotencyKeyReused

KEY_LENGTH = (8, 255)
REPLAYED = {"Idempotency-Replayed": "true"}


def _check_key(key: str) -> None:
    shortest, longest = KEY_LENGTH
    if not (shortest <= len(key) <= longest and key.isascii() and key.isprintable()):
        raise ValidationError(f"Must be {shortest} to {longest} printable ASCII characters.")


class IdempotencyHeaders(Schema):
    """The header with which a client may repeat a booking or purchase safely."""

    class Meta:
        unknown = EXCLUDE

    key = fields.String(data_key="Idempotency-Key", load_default=None, validate=_check_key)


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
