"""The staff key as clients write it; tests/operations/test_routes.py has the routes it opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.database import Database

from app.config import Settings
from tests.helpers import assert_refused

KEY = "correct-horse-battery"


@pytest.fixture
def guarded(
    mongomock_database: Database[Any], settings: Settings, shared_app: Callable[..., Flask]
) -> FlaskClient:
    guarded = replace(settings, staff_key=KEY)
    return shared_app(mongomock_database, settings=guarded).test_client()


@pytest.mark.parametrize("written", [f"Bearer {KEY}", f"bearer   {KEY}", f"BEARER {KEY} "])
def test_case_and_spaces_do_not_matter(guarded: FlaskClient, written: str) -> None:
    answer = guarded.get("/tickets?timing=18:00", headers={"Authorization": written})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "written",
    [
        f"Bearer{KEY}",
        f"Bearer {KEY.upper()}",
        f"Bearer {KEY} {KEY}",
        f"Bearer, {KEY}",
        f"Token {KEY}",
        f"Bearer {KEY}\xe9",
        "Bearer caf\xe9",
    ],
)
def test_another_key_or_scheme_is_refused(guarded: FlaskClient, written: str) -> None:
    answer = guarded.get("/tickets?timing=18:00", headers={"Authorization": written})
    assert_refused(answer, 401, "unauthorized")
