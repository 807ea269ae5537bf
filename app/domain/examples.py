"""Fields of what the services return, with an example each for the documentation."""

from __future__ import annotations

from dataclasses import field
from typing import Any

TICKET_ID = "7KQ4M2XN0PVRq3vLrWm0T1yQ8bXo5eZkNA"
ADMISSION_CODE = TICKET_ID[:12]
NAME = "Asha Rao"
PHONE = "98765 43210"
TIMING = "18:00"
DATE = "2026-11-22"
SHOWING_AT = "2026-11-22T18:00:00+05:30"
SEATS = [7, 8, 9, 10]
LABELS = ["B2", "B3", "B4", "B5"]


def documented(example: Any, description: str | None = None) -> Any:
    """Return a dataclass field that the documentation shows with this example."""
    metadata = {"example": example} | ({"description": description} if description else {})
    return field(metadata=metadata)
