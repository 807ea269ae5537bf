"""How far a run is, and the time it still needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TextIO

_QUIET_SECONDS = 30  # between two lines where a line cannot be rewritten


class Progress:
    """One line on a terminal that is rewritten, or a line now and then elsewhere.

    `plan` has the seconds that each part is known to take. The time left follows the pace so far,
    because another machine may be faster or slower.
    """

    def __init__(
        self,
        plan: Mapping[str, float],
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.durations: dict[str, float] = {}
        """The seconds that each part took, by its name."""
        self._plan = plan
        self._stream = stream
        self._clock = clock
        self._started = self._part_started = clock()
        self._part = ""
        self._planned = 0.0  # seconds, of the parts that are over
        self._quiet_until = self._started

    def begin(self, part: str) -> None:
        """Start a part of the plan."""
        self._part = part
        self._part_started = self._quiet_until = self._clock()
        self.at(0)

    def at(self, share: float) -> None:
        """Show that this share of the part is done, from 0 to 1."""
        now = self._clock()
        done = self._planned + share * self._plan[self._part]
        total = sum(self._plan.values())
        # As if a minute had gone to plan before the start, so that first steps count for little.
        pace = (now - self._started + 60) / (done + 60)
        minutes, seconds = divmod(round((total - done) * pace), 60)
        line = f"{done / total:4.0%} · {self._part} · {minutes}:{seconds:02} left"
        if self._stream.isatty():
            self._stream.write(f"\r{line}\033[K")
        elif now >= self._quiet_until:
            self._stream.write(f"{line}\n")
            self._quiet_until = now + _QUIET_SECONDS
        self._stream.flush()

    def end(self) -> None:
        """Finish the part, and clear the line for what is printed next."""
        self.durations[self._part] = self._clock() - self._part_started
        self._planned += self._plan[self._part]
        if self._stream.isatty():
            self._stream.write("\r\033[K")
            self._stream.flush()
