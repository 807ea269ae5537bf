"""The staff key, which opens the routes that are for the theatre's staff."""

from __future__ import annotations

import hmac

from flask import current_app, request

from app.web.origin import check_origin
from app.web.refusals import Unauthorized


def check_staff_key() -> None:
    """Raise Unauthorized unless the request carries the staff key, where one is set.

    Raises CrossSite for a web page of another origin, which could read an open service's lists.
    """
    check_origin()
    expected: str | None = current_app.config["STAFF_KEY"]
    if expected is None:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # In constant time, so that an answer does not tell how much of a guess was right.
    right = hmac.compare_digest(given.strip().encode(), expected.encode())
    if scheme.lower() != "bearer" or not right:
        raise Unauthorized
