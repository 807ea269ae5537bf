"""Ids that cannot be guessed: whoever knows one may see what it names."""

from __future__ import annotations

import secrets


def new_id() -> str:
    """Return 128 random bits as 22 URL-safe ASCII characters (RFC 4648, base64url)."""
    return secrets.token_urlsafe(16)
