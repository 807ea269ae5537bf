"""Ids that cannot be guessed: anyone who knows one may see what it names."""

from __future__ import annotations

import base64
import re
import secrets

ADMISSION_CODE_LENGTH = 12
_RFC_4648 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CROCKFORD = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_CROCKFORD = bytes.maketrans(_RFC_4648, _CROCKFORD)
_CANONICAL = str.maketrans("OIL", "011", "-")
_SYMBOLOGY = re.compile(r"^\][A-Za-z][0-9A-Za-z]")


def new_id() -> str:
    """Return 128 random bits as 22 URL-safe ASCII characters (RFC 4648, base64url)."""
    return secrets.token_urlsafe(16)


def new_admission_code() -> str:
    """Return 60 random bits as 12 characters of Crockford's base 32."""
    return as_admission_code(secrets.token_bytes(8))


def as_admission_code(bits: bytes) -> str:
    """Return the first 60 of these bits as 12 characters of Crockford's base 32."""
    encoded = base64.b32encode(bits).translate(_TO_CROCKFORD)
    return encoded[:ADMISSION_CODE_LENGTH].decode()


def read_admission_code(text: str) -> str:
    """Return an admission code as it is stored, in any form that people type or scanners send.

    Case, white space and hyphens do not matter; O counts as 0, I and L as 1. A scanner's symbology
    identifier in front (ISO/IEC 15424, such as `]Q1`) is dropped, and of an address the part behind
    its `#` counts. Text with characters beyond ASCII is returned unchanged and matches nothing,
    because some of them become ASCII as capitals.
    """
    if not text.isascii():
        return text
    scanned = _SYMBOLOGY.sub("", text.strip()).rpartition("#")[2]
    return "".join(scanned.split()).upper().translate(_CANONICAL)
