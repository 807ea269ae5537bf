"""The machine that a run had, and how much of it other processes took."""

from __future__ import annotations

import os
import platform
import resource
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("Flask", "pymongo", "gunicorn", "gevent", "granian", "fastapi", "uvicorn")


def facts() -> dict[str, str]:
    """Return the date, the machine and the versions of what is measured."""
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return {
        "date": f"{datetime.now().astimezone():%Y-%m-%d}",
        "machine": f"{cores} cores, {memory / 2**30:.0f} GiB, {platform.platform()}",
        "versions": f"Python {platform.python_version()}, {versions}",
    }


class Others:
    """The processor time that goes to other processes, and to other virtual machines."""

    def __init__(self) -> None:
        self._started, self._before = time.monotonic(), self._seconds()

    def share(self) -> float:
        """Return their share of all cores since the start; call it after our processes end."""
        available = (time.monotonic() - self._started) * (os.cpu_count() or 1)
        return max(0.0, (self._seconds() - self._before) / available)

    @staticmethod
    def _seconds() -> float:
        own = sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        return busy(Path("/proc/stat").read_text()) / os.sysconf("SC_CLK_TCK") - own


def busy(stat: str) -> int:
    """Return the clock ticks that the cores were not idle, from /proc/stat (see proc(5))."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.split()[1:9])
    return user + nice + system + irq + softirq + steal
