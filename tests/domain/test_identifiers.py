"""Ids and admission codes: what they are made of, and how typed codes are read."""

from __future__ import annotations

import re

import pytest

from app.domain.identifiers import (
    as_admission_code,
    new_admission_code,
    new_id,
    read_admission_code,
)

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_an_id_has_128_random_bits() -> None:
    ids = {new_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(re.fullmatch("[A-Za-z0-9_-]{22}", each) for each in ids)
    for place in range(21):
        assert len({each[place] for each in ids}) == 64
    assert len({each[21] for each in ids}) == 4  # the last 2 bits


def test_every_character_occurs_in_every_position_of_a_code() -> None:
    codes = {new_admission_code() for _ in range(2000)}
    assert len(codes) == 2000
    for place in range(12):
        assert {code[place] for code in codes} == set(CROCKFORD)
    assert all(len(code) == 12 and read_admission_code(code) == code for code in codes)


@pytest.mark.parametrize(
    ("bits", "code"),
    [
        (bytes(8), "000000000000"),
        (b"\xff" * 8, "ZZZZZZZZZZZZ"),
        (b"\x08\x42\x10\x84\x21\x08\x42\x10", "111111111111"),
        (bytes(6) + b"\x01\xf0", "00000000000Z"),
        (bytes(7) + b"\x0f", "000000000000"),  # beyond the first 60 bits
    ],
)
def test_a_code_is_60_bits_in_base_32(bits: bytes, code: str) -> None:
    assert as_admission_code(bits) == code


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("7kq4 m2xn 0pvr", "7KQ4M2XN0PVR"),
        ("7KQ4-M2XN-OPVR", "7KQ4M2XN0PVR"),
        (" 7KQ4M2XNoPVR- ", "7KQ4M2XN0PVR"),
        ("iIlL1ABCDEFG", "11111ABCDEFG"),
        # As scanners send it: with the end of a line, or a symbology identifier in front.
        ("7KQ4M2XN0PVR\t", "7KQ4M2XN0PVR"),
        ("7KQ4M2XN0PVR\r\n", "7KQ4M2XN0PVR"),
        ("]Q17KQ4M2XN0PVR\r", "7KQ4M2XN0PVR"),
        ("]Q3 7kq4-m2xn-0pvr", "7KQ4M2XN0PVR"),
        ("https://box.example/door#7KQ4M2XN0PVR", "7KQ4M2XN0PVR"),
        ("]Q1https://box.example/door?timing=18:00#7kq4m2xn0pvr\n", "7KQ4M2XN0PVR"),
        # Letters that become ASCII as capitals are not what people read off a ticket.
        ("7KQ4M2XN\u0131PVR", "7KQ4M2XN\u0131PVR"),
        ("\u017f" * 12, "\u017f" * 12),
    ],
)
def test_a_code_is_accepted_as_people_type_it(typed: str, meant: str) -> None:
    assert read_admission_code(typed) == meant
