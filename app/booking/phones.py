"""Phone numbers as customers write them, and how two spellings of one number are recognised."""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number `given` by a customer, and the same in E.164 (`+919876543210`)."""

    given: str
    e164: str


def parse_phone(text: str, region: str) -> Phone:
    """Read a phone number, in `region` (such as IN) when it has no `+`.

    Raises ValueError when libphonenumber does not call it valid, or when it has other characters
    than numbers are written with (libphonenumber itself reads digits of any script, and skips
    over words).
    """
    message = (
        f"Not a valid phone number (in {region}; one of elsewhere needs its + and country code)."
    )
    if not re.fullmatch(r"[0-9 ()+./-]+", text):
        raise ValueError(message)
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise ValueError(message) from None
    if not phonenumbers.is_valid_number(number):
        raise ValueError(message)
    return Phone(text, phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
