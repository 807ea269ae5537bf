"""A build backend that builds nothing, and says why."""

from __future__ import annotations

import sys
from typing import NoReturn


def build_wheel(*_: object, **__: object) -> NoReturn:
    """Exit: a package could not start the service, which needs `root.py` and `gunicorn.conf.py`."""
    sys.exit("Box Office is not a package; it runs from its folder: make run")


build_sdist = build_editable = build_wheel
