"""The processor time that other processes take."""

from __future__ import annotations

from bench import machine


def test_busy_time_leaves_out_idle_and_waiting() -> None:
    # user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice
    stat = "cpu  1 20 300 999999 888888 4000 50000 600000 7777 7777\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
    assert machine.busy(stat) == 654_321
