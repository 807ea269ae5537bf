"""A repeated request is recognised by its key and its fingerprint."""

from __future__ import annotations

from datetime import date

import pytest

from app.domain.idempotency import IdempotentRequest


def fingerprint(**request: object) -> str:
    made = IdempotentRequest.of("key-12345", **request)
    assert made
    assert made.key == "key-12345"
    return made.fingerprint


def test_a_request_without_a_key_is_not_remembered() -> None:
    assert IdempotentRequest.of(None, name="Asha") is None


def test_the_order_of_the_fields_does_not_matter() -> None:
    assert fingerprint(name="Asha", timing="18:00") == fingerprint(timing="18:00", name="Asha")


@pytest.mark.parametrize("change", [{"name": "Ravi"}, {"date": None}, {"amount": 1}])
def test_each_field_matters(change: dict[str, object]) -> None:
    asked = {"name": "Asha", "date": date(2026, 11, 22)}
    assert fingerprint(**asked) != fingerprint(**{**asked, **change})


@pytest.mark.parametrize(
    ("request_", "stored"),
    [
        (
            {"name": "Asha Rao", "phone": "98765 43210", "timing": "18:00", "date": None},
            "78767365185ba4d8f33c3e01051e53582b97bb71bb43910f24742c3126649558",
        ),
        (
            {
                "name": "Asha Rao",
                "phone": "98765 43210",
                "timing": "18:00",
                "date": date(2046, 11, 23),
            },
            "34e5f3a11389e6b4dd341cf52858af2f01baf11dbcc7b563a42ff516f3f76043",
        ),
        (
            {"movie": 1, "date": None, "amount": 1},
            "1db1f2e0f52d2809b431aa6906921134d050c65a3c5113f92e71cfca0716c0c8",
        ),
        (
            {"timing": "18:00", "date": None},  # an admission
            "6f69318b4f261e465cb98d8faa2962e7c2476033460cce843ec26a32b2bd5fd4",
        ),
    ],
)
def test_stored_fingerprints_never_change(request_: dict[str, object], stored: str) -> None:
    assert fingerprint(**request_) == stored  # as version 1.0 has stored it
