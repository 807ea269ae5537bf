"""Which of its server's workers this process is; the server's configuration says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a worker, `number` from 0 on, among `of` workers."""

    number: int = 0
    of: int = 1


ALONE = Place()
place = ALONE
