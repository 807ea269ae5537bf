"""The metrics of an app, in Prometheus's text format."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import repeat
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pymongo.errors import AutoReconnect

from app.mongodb.batching import BatchLost
from app.operations.metrics import Metrics, Seats


def metrics_of(
    seats: Callable[[], Iterable[Seats]] = list, times: Iterable[float] = repeat(0)
) -> Metrics:
    clock = iter(times)
    return Metrics(
        ["/"], ["sold_out"], version="1.2.3", seats=seats, clock=lambda: float(next(clock))
    )


def samples(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the values of all metrics but histograms, by the values of their sorted labels."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        family.name: {
            tuple(dict(sorted(each.labels.items())).values()): each.value for each in family.samples
        }
        for family in families
        if family.type != "histogram"
    }


def test_a_series_appears_with_its_first_event() -> None:
    # The first takes from 0 to 3, so the next is made from 6 on.
    metrics = metrics_of(times=[0, 3, 5, 6, 7])
    none_yet = metrics.exposition()
    metrics.count_request("GET", "/", 200, 0.003)
    metrics.count_request("GET", "/", 200, 20)
    metrics.count_refusal("sold_out")
    assert metrics.exposition() == none_yet  # nobody makes a worker do it all the time
    lines = set(metrics.exposition().decode().splitlines())
    added = sorted(line for line in lines - set(none_yet.decode().splitlines()))
    seconds = "boxoffice_http_request_duration_seconds"
    labels = 'method="GET",route="/"'
    assert f'{seconds}_bucket{{le="0.0025",{labels}}} 0.0' in added
    assert f'{seconds}_bucket{{le="0.005",{labels}}} 1.0' in added
    assert f'{seconds}_bucket{{le="+Inf",{labels}}} 2.0' in added
    assert f"{seconds}_count{{{labels}}} 2.0" in added
    assert f"{seconds}_sum{{{labels}}} 20.003" in added
    assert f'boxoffice_http_requests_total{{{labels},status="200"}} 2.0' in added
    assert 'boxoffice_refusals_total{code="sold_out"} 1.0' in added
    assert len(added) == 14 + 2 + 1 + 1


def test_the_build_names_the_version() -> None:
    build = 'boxoffice_build_info{python="3.'
    (line,) = (line for line in metrics_of().exposition().decode().splitlines() if build in line)
    assert line.endswith(',version="1.2.3"} 1.0')


def test_sold_and_free_seats_are_counted_by_timing_and_movie() -> None:
    shown = samples(metrics_of(lambda: [Seats("18:00", "", 3, 17), Seats("18:00", "2", 0, 996)]))
    assert shown["boxoffice_seats_sold"] == {("", "18:00"): 3, ("2", "18:00"): 0}
    assert shown["boxoffice_seats_free"] == {("", "18:00"): 17, ("2", "18:00"): 996}


@pytest.mark.parametrize("error", [AutoReconnect("away"), BatchLost()])
def test_without_mongodb_counters_are_shown_and_seats_are_not(error: Exception) -> None:
    def fail() -> Any:
        raise error

    metrics = metrics_of(fail)
    metrics.count_admission()
    shown = samples(metrics)
    assert shown["boxoffice_seats_sold"] == shown["boxoffice_seats_free"] == {}
    assert shown["boxoffice_admissions"] == {(): 1}


def test_concurrent_scrapes_share_one_exposition() -> None:
    asked, may_respond = threading.Event(), threading.Event()
    questions = []

    def seats() -> list[Seats]:
        questions.append(1)
        asked.set()
        assert may_respond.wait(5)
        return []

    metrics = metrics_of(seats, times=[0, 3, 4])
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(metrics.exposition)
        assert asked.wait(5)
        second = pool.submit(metrics.exposition)
        wait([second], timeout=0.1)
        may_respond.set()
        assert first.result() == second.result()
    assert len(questions) == 1
