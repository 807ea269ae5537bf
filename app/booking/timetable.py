"""The timetable: the times at which something plays every day, all in one house."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.refusals import InvalidRequest
from app.domain.seating import House
from app.domain.showings import Play


class Timetable:
    """What plays at each of the `show_times` (`HH:MM`), all of it in the same house."""

    def __init__(self, show_times: Sequence[str], house: House) -> None:
        self._plays = {timing: Play(timing, house) for timing in show_times}

    def plays(self) -> list[Play]:
        """Return all plays, in order of timing."""
        return list(self._plays.values())

    def find(self, timing: str) -> Play:
        """Return what plays at this time; raises InvalidRequest if nothing does."""
        if timing not in self._plays:
            times = ", ".join(self._plays)
            raise InvalidRequest({"timing": [f"Not in the timetable. The show times are {times}."]})
        return self._plays[timing]
