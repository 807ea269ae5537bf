"""Phone numbers as customers write them; different spellings of a number are recognised."""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass

import phonenumbers
import regex

_INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_SPACE = regex.compile(r"\p{Zs}")
# Unicode counts the hyphen bullet and the Japanese length mark as neither, but people type them so.
_DASH = regex.compile(r"[\p{Dash}\p{Hyphen}\u2043\u30fc]")
_DIGIT = regex.compile(r"\p{Nd}")
# NFKC would turn these into digits or letters: superscripts, circled and Roman numbers.
_OTHER_NUMERAL = regex.compile(r"[\p{No}\p{Nl}]")
_EXTENSION = r"(?:;ext=|[;,]? *(?:ext|extn|extension|x|#)[.:]? *)[0-9]{1,9} *"
_WRITTEN = regex.compile(rf" *(?:tel: *)?([0-9 ()+./-]+)(?:{_EXTENSION})?", regex.IGNORECASE)
_MAX_CHARACTERS = 250  # as libphonenumber


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number `given` by a customer, and the same in E.164 (`+919876543210`)."""

    given: str
    e164: str


@functools.lru_cache(maxsize=1024)
def parse_phone(text: str, region: str) -> Phone:
    """Read a phone number as people paste it, in `region` (such as IN) when it has no `+`.

    Spaces, hyphens and dashes of any kind, full-width forms and digits of any script are accepted,
    and so are a leading `tel:` and a trailing extension. Raises ValueError when libphonenumber does
    not call the number valid, or when there are other letters, which libphonenumber itself would
    skip or dial.
    """
    message = (
        f"Not a valid phone number for {region}. "
        "Numbers from other countries need + and the country code."
    )
    given = _INVISIBLE.sub("", text)
    written = _WRITTEN.fullmatch(_in_ascii(given)) if len(given) <= _MAX_CHARACTERS else None
    if not written:
        raise ValueError(message)
    try:
        number = phonenumbers.parse(written[1], region)
    except phonenumbers.NumberParseException:
        raise ValueError(message) from None
    if not phonenumbers.is_valid_number(number):
        raise ValueError(message)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Phone(given.strip(), e164)


def _in_ascii(text: str) -> str:
    """Return `text` with its spaces, dashes, digits and full-width forms as ASCII has them."""
    if text.isascii() or _OTHER_NUMERAL.search(text):
        return text
    text = _DASH.sub("-", _SPACE.sub(" ", unicodedata.normalize("NFKC", text)))
    return _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0], "?")), text)
