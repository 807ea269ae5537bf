"""The table of figures that processes share."""

from __future__ import annotations

import os

from app.operations.metrics import Metrics, SharedTable


def test_totals_are_those_of_the_columns_in_use() -> None:
    table = SharedTable(rows=3)
    for table.row in (0, 2):
        table.add(7, 1)
        table.add(30_000, 0.5)
    assert table.totals() == {7: 2, 30_000: 1}


def test_a_column_that_another_process_uses_first_is_seen() -> None:
    table = SharedTable(rows=2)
    table.add(7, 1)
    child = os.fork()
    if child == 0:
        table.row = 1
        table.add(8, 1)
        os._exit(0)
    os.waitpid(child, 0)
    assert table.totals() == {7: 1, 8: 1}


def test_a_series_is_shown_from_its_first_event_on() -> None:
    # The first takes from 0 to 3, so the next is made from 6 on.
    times = iter([0, 3, 5, 6, 7])
    figures = Metrics(["/"], ["sold_out"], clock=lambda: next(times))
    assert "{" not in figures.exposition().decode()
    figures.count_request("GET", "/", 200, 0.003)
    figures.count_request("GET", "/", 200, 20)
    figures.count_refusal("sold_out")
    assert "{" not in figures.exposition().decode()  # nobody makes a worker do it all the time
    lines = figures.exposition().decode().splitlines()
    seconds = "boxoffice_http_request_duration_seconds"
    labels = 'method="GET",route="/"'
    assert f'{seconds}_bucket{{le="0.0025",{labels}}} 0.0' in lines
    assert f'{seconds}_bucket{{le="0.005",{labels}}} 1.0' in lines
    assert f'{seconds}_bucket{{le="+Inf",{labels}}} 2.0' in lines
    assert f"{seconds}_count{{{labels}}} 2.0" in lines
    assert f"{seconds}_sum{{{labels}}} 20.003" in lines
    assert f'boxoffice_http_requests_total{{{labels},status="200"}} 2.0' in lines
    assert 'boxoffice_refusals_total{code="sold_out"} 1.0' in lines
    assert len([line for line in lines if "{" in line]) == 14 + 2 + 1 + 1
