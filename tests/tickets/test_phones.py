"""Phone numbers: which are accepted, and which are equal."""

from __future__ import annotations

import pytest

from app.tickets.phones import parse_phone


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
def test_formats_of_one_number(text: str) -> None:
    phone = parse_phone(text, "IN")
    assert (phone.given, phone.e164) == (text, "+919876543210")


@pytest.mark.parametrize(
    "space", list("\u00a0\u1680\u2000\u2002\u2003\u2007\u2009\u200a\u202f\u205f\u3000")
)
@pytest.mark.parametrize(
    "dash",
    list("-\u058a\u05be\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u207b\u208b\u2212")
    + list("\u2e3a\u301c\u3030\u30fc\ufe58\ufe63\uff0d\uff70"),
)
def test_any_space_and_dash_is_read(space: str, dash: str) -> None:
    text = f"+91{space}98765{dash}43210"
    phone = parse_phone(f"{space}{text}{space}", "IN")
    assert (phone.given, phone.e164) == (text, "+919876543210")


@pytest.mark.parametrize(
    "text",
    [
        "＋９１　９８７６５　４３２１０",
        "﹢91 98765 43210",
        "（０９８７６５）４３２１０",
        "９８７６５．４３２１０",
        "९८७६५ ४३२१०",
        "+٩١ ٩٨٧٦٥ ٤٣٢١٠",
        "۹۸۷۶۵۴۳۲۱۰",
        "৯৮৭৬৫৪৩২১০",
        "𝟗𝟖𝟕𝟔𝟓𝟒𝟑𝟐𝟏𝟎",
        "९८७६५43210",
    ],
)
def test_full_width_forms_and_digits_of_any_script_are_read(text: str) -> None:
    phone = parse_phone(text, "IN")
    assert (phone.given, phone.e164) == (text, "+919876543210")


@pytest.mark.parametrize(
    "mark",
    list("\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u202d\u202e\u2060")
    + list("\u2066\u2068\u2069\ufe0e\ufe0f\ufeff\U000e0001\U000e0100"),
)
def test_invisible_characters_are_dropped(mark: str) -> None:
    phone = parse_phone(f" {mark} +91 98765{mark}{mark} 43210 {mark}", "IN")
    assert (phone.given, phone.e164) == ("+91 98765 43210", "+919876543210")


@pytest.mark.parametrize("before", ["", "tel:", "TEL:", "Tel: ", "\u202atel:", "ｔｅｌ："])
@pytest.mark.parametrize(
    "behind",
    [
        *("", " ext. 5", " ext 5", " Ext: 12345", " extn 5", " extension 5", "x5", " x 5", " X5"),
        *("#5", " #5", ";ext=5", ";EXT=5", ", ext. 5", "; ext 5", " ｅｘｔ．５", " ext. ५"),
    ],
)
def test_a_leading_tel_and_a_trailing_extension_are_accepted(before: str, behind: str) -> None:
    text = f"{before}+91 98765-43210{behind}"
    phone = parse_phone(text, "IN")
    assert (phone.given, phone.e164) == (text.lstrip("\u202a"), "+919876543210")


def test_the_region_applies_only_without_a_plus() -> None:
    assert parse_phone("020 7946 0018", "GB").e164 == "+442079460018"
    assert parse_phone("+44 20 7946 0018", "IN").e164 == "+442079460018"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5555555555",
        "hello 9876543210",
        "1",
        "12345",
        "hello",
        "+",
        "+999 12345",
        "98765\n43210",
        "9876543210\n",
        "98765\t43210",
        "98765\u202843210",
        "9" * 10_000,
        "9876543210" + " " * 10_000 + "x5",
        "9876543210" + "-" * 10_000,
        "١٢٣",
        "1-800-FLOWERS",
        "+1-800-FLOWERS",
        "call me",
        "call 9876543210",
        "9876543210 Asha",
        "98765o43210",
        "phone: 9876543210",
        "mailto:9876543210",
        "tel:",
        "tel:tel:9876543210",
        "9876543210 tel:",
        "tel:9876543210;phone-context=+91",
        "tel:+919876543210;phone-context=example.com",
        "tel:+919876543210;isub=1",
        "9876543210;ext=",
        "9876543210 ext",
        "9876543210 ext. five",
        "98765 x 43210",
        "9876543210 x9876543210",
        "98765 43210 / 91234 56780",
        "ext. 9876543210",
        "98765 4321⁰",
        "⑨876543210",
        "98765 4321Ⅹ",
        "９８７６５４３２１０ｱ",
        "９８７６５４３２１０あ",
        "\u202a\ufe0f",
        "\ud800",
        "9876543210\ud800",
        "9876543210\U00010d41",  # a digit that is newer than Python's Unicode
    ],
)
def test_what_is_not_a_phone_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="phone number"):
        parse_phone(text, "IN")


def test_up_to_250_characters_are_read() -> None:
    text = "9876543210" + "-" * 239 + "."
    assert len(text) == 250
    assert parse_phone(text, "IN").e164 == "+919876543210"
    with pytest.raises(ValueError, match="phone number"):
        parse_phone(text + ".", "IN")


def test_invisible_characters_do_not_count_towards_the_limit() -> None:
    assert parse_phone("9876543210" + "\u200b" * 1000, "IN").given == "9876543210"


def test_the_message_gives_the_accepted_formats() -> None:
    message = (
        "Not a valid phone number for IN. "
        "Numbers from other countries need \\+ and the country code."
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        parse_phone("5555555555", "IN")
