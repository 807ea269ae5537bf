"""Which requests are served: any web page can make its visitor's browser send some.

By a name that resolves to this machine (DNS rebinding), a page could also read the responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Flask, current_app, request

from app.web.addresses import is_loopback, to_listen_on, without_port
from app.web.refusals import CrossSite, MisdirectedRequest

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# The form of a request to a proxy.
_ABSOLUTE_TARGET = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.IGNORECASE)


def configure(app: Flask, host: str, *, is_open: bool) -> None:
    """Refuse what pages of other sites must not do.

    A service that is open to all and listens on a loopback `host` is served only under loopback
    names and the name `host`. Changes are refused to pages of other origins.
    """
    app.extensions["allowed_origins"] = frozenset()

    if is_open and _is_private(host):
        own = _name(host)

        @app.before_request
        def refuse_other_names() -> None:
            if not all(is_loopback(name) or name == own for name in _names()):
                request.url_rule = None  # so that browsers get no page instead
                raise MisdirectedRequest

    @app.before_request
    def refuse_changes_by_other_origins() -> None:
        if request.method not in _SAFE_METHODS:
            check_origin()


def check_origin() -> None:
    """Raise CrossSite if a web page of another origin sent the request; programs name no origin."""
    origin = request.environ.get("HTTP_ORIGIN")
    site = request.environ.get("HTTP_SEC_FETCH_SITE")
    # Browsers compare with the address that they see. A proxy may hide it from us.
    if site == "same-origin" or (origin is None and site in (None, "none")):
        return
    if origin in current_app.extensions["allowed_origins"]:
        return
    if site in (None, "none") and origin == f"{request.scheme}://{request.host}".lower():
        return
    raise CrossSite


def _is_private(host: str) -> bool:
    """Return whether only this machine can connect to `host`."""
    try:
        return all(is_loopback(address[0]) for _, address in to_listen_on(host, 0))
    except OSError:
        return False


def _names() -> Iterator[str]:
    """Yield the names by which a client calls the service; only HTTP/1.0 allows none."""
    environ = request.environ
    for target in (environ.get("RAW_URI"), environ.get("REQUEST_URI")):
        if absolute := _ABSOLUTE_TARGET.match(target or ""):
            yield _name(absolute[1])
    if host := environ.get("HTTP_HOST"):
        yield _name(host)


def _name(host: str) -> str:
    return without_port(host).removesuffix(".").lower()
