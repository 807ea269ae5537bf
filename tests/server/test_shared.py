"""The table of numbers that the processes of a server share."""

from __future__ import annotations

import os

from app.server.shared import SharedTable


def test_totals_cover_the_columns_in_use() -> None:
    table = SharedTable(rows=3)
    for row in (0, 2):
        table.use_row(row)
        table.add(7, 1)
        table.add(30_000, 0.5)
    assert table.totals() == {7: 2, 30_000: 1}


def test_a_column_first_used_by_another_process_is_seen() -> None:
    table = SharedTable(rows=2)
    table.add(7, 1)
    child = os.fork()
    if child == 0:
        table.use_row(1)
        table.add(8, 1)
        os._exit(0)
    os.waitpid(child, 0)
    assert table.totals() == {7: 1, 8: 1}
