"""Phone numbers: which are read, and which are the same."""

from __future__ import annotations

import pytest

from app.booking.phones import parse_phone


@pytest.mark.parametrize(
    "text",
    [
        "9876543210",
        "98765 43210",
        "+919876543210",
        "+91 98765-43210",
        "09876543210",
        "(98765) 43210",
    ],
)
def test_spellings_of_one_number(text: str) -> None:
    phone = parse_phone(text, "IN")
    assert (phone.given, phone.e164) == (text, "+919876543210")


def test_the_region_counts_without_a_plus_only() -> None:
    assert parse_phone("020 7946 0018", "GB").e164 == "+442079460018"
    assert parse_phone("+44 20 7946 0018", "IN").e164 == "+442079460018"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5555555555",
        "hello 9876543210",
        "tel:9876543210",
        "1",
        "12345",
        "hello",
        "+",
        "+999 12345",
        "९८७६५४३२१०",
        "98765\n43210",
        "9" * 10_000,
        "١٢٣",
    ],
)
def test_what_is_no_phone_number(text: str) -> None:
    with pytest.raises(ValueError, match="phone number"):
        parse_phone(text, "IN")
