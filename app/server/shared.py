"""What the processes of one server share; `gunicorn.conf.py` sets it before they fork."""

from __future__ import annotations

import mmap
import threading
from itertools import compress

COLUMNS = 32 * 1024  # more than the metrics of the service need


class SharedTable:
    """A table of numbers that all processes forked by a server share.

    Each process adds to its own row, and reads the sums over all rows. The memory belongs to no
    file, so a full disk cannot stop a booking, and nobody can remove it. Memory that nobody has
    written to costs nothing.
    """

    def __init__(self, rows: int) -> None:
        cells = memoryview(mmap.mmap(-1, rows * COLUMNS * 8)).cast("d")
        self._rows = [cells[row * COLUMNS : (row + 1) * COLUMNS] for row in range(rows)]
        # A byte for each row and each column, 1 once it is in use; most never are.
        self._used_rows, self._used_columns = mmap.mmap(-1, rows), mmap.mmap(-1, COLUMNS)
        self._lock = threading.Lock()
        self.use_row(0)

    def use_row(self, row: int) -> None:
        """Have this process add to a row from now on."""
        self._row = self._rows[row]
        self._used_rows[row] = 1

    def add(self, column: int, number: float) -> None:
        """Add `number` to a column, in this process's row."""
        with self._lock:
            self._row[column] += number
        self._used_columns[column] = 1

    def totals(self) -> dict[int, float]:
        """Return the sum of each column in use, in order."""
        rows = list(compress(self._rows, self._used_rows[:]))
        columns = compress(range(COLUMNS), self._used_columns[:])
        return {column: sum(row[column] for row in rows) for column in columns}


# What a server that forked this process has set; None on other servers.
started_at: float | None = None  # seconds since 1970; replacing a worker is not a start
table: SharedTable | None = None
