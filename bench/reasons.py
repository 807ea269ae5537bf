"""Why a target is missed: the sentences that follow from what has been measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.load import Turn, spread
from bench.report import listed

FAULT = "This is an error of the box office: please report it."


def dearer_than_bare(each: Turn, bare: Turn, profile: Mapping[str, float] | None) -> str:
    """Say why a request is slower than the bare insert; `profile` is what it is made of."""
    takes = (
        f"A request takes {each.processor:,.0f} µs of processor time, the bare insert"
        f" {bare.processor:,.0f} µs."
    )
    if each.processor <= bare.processor:
        return f"{takes} So it is not work that makes it slower, but waiting."
    if not profile:
        return f"{takes} It pays for gunicorn, for Flask and for the reading of its fields."
    parts = {
        "gunicorn and gevent": profile["server"],
        "Flask": profile["Flask"],
        "our code": profile["own code"],
        "reading fields": profile["reading"],
    }
    largest_first = sorted(parts, key=parts.__getitem__, reverse=True)
    shares = [f"{part} ({parts[part]:,.0f} µs)" for part in largest_first]
    return (
        f"{takes} In the profile below, {profile['**all**']:,.0f} µs include {listed(shares)}."
        " The bare insert runs on Granian, and has no fields to check."
    )


def close_to_fastapi(ours: Turn, theirs: Turn) -> str:
    """Say why a booking is not much faster than FastAPI's."""
    return (
        f"A booking takes {ours.processor:,.0f} µs of processor time here, and"
        f" {theirs.processor:,.0f} µs there. On the same cores that allows a ratio of about"
        f" {theirs.processor / ours.processor:.2f}."
    )


def slower_than_before(now: Turn, then: Turn, ratios: Sequence[float]) -> str:
    """Say why a request is slower than in the older version, in these ratios of the rounds."""
    times = f"{now.processor:,.0f} µs now, {then.processor:,.0f} µs then"
    if now.processor > then.processor:
        return f"A request takes more processor time ({times}), and all clients queue for it."
    return (
        f"A request does not take more processor time ({times}). Between rounds, the ratio varied"
        f" from {spread(ratios)}."
    )


def slower_alone(now: Turn, then: Turn) -> str:
    """Say why a lone client waits longer than in the older version."""
    return (
        "A lone client shares no insert with others, and waits for each round trip:"
        f" {now.p50:.1f} ms now, {then.p50:.1f} ms then. Its booking often looks for free seats"
        " first ([decision 9](decisions/0009-the-order-of-seats.md))."
    )


def lost_inserts(inserts: float, workers: int) -> str:
    """Say why a ticket takes more inserts than it should."""
    return (
        f"{workers} workers choose seats without asking each other. When two choose the same one,"
        f" MongoDB refuses an insert: here {inserts - 1:.2f} for each ticket."
    )


def still_growing(last: float, requests: int) -> str:
    """Say whether memory still grew in the last requests."""
    return f"The last {requests:,} requests still added {last:.1%}."


def dearer_beside_tickets(few: Turn, many: Turn) -> str:
    """Say who pays for stored tickets."""
    return (
        f"A booking takes MongoDB {many.mongodb:,.0f} µs there and {few.mongodb:,.0f} µs with"
        f" none; it takes the workers {many.workers:,.0f} and {few.workers:,.0f} µs."
    )


def who_oversold(oversold: Mapping[str, Sequence[int]]) -> str:
    """Return a sentence on who sold more seats than there are, and who did not."""
    did = [f"*{name}*" for name, seats in oversold.items() if max(seats) > 0]
    did_not = [f"*{name}*" for name, seats in oversold.items() if max(seats) <= 0]
    if not did:
        return "In this run, nobody oversold."
    others = f"; {listed(did_not)} did not" if did_not else ""
    return f"In this run, {listed(did)} oversold{others}."
