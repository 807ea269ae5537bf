"""The seats that a customer asks for: some by their numbers, or the best for a party."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.showings import Play


@dataclass(frozen=True, slots=True)
class Wanted:
    """These `seats` (ascending), or else the best for `amount` people.

    `field` is the name under which the request asks for them.
    """

    amount: int = 1
    seats: tuple[int, ...] = ()
    field: str = "amount"

    @property
    def is_party(self) -> bool:
        """Whether these are seats for several people who have not chosen any."""
        return self.amount > 1 and not self.seats

    def as_asked(self) -> dict[str, Any]:
        """Return the request field that asks for these seats; empty for one of the best."""
        if self.seats:
            return {self.field: self.seats[0] if self.field == "seat" else list(self.seats)}
        return {} if self.amount == 1 else {"amount": self.amount}

    def errors(self, play: Play) -> dict[str, list[str]]:
        """Return what is wrong with asking for these seats of a play, by field.

        Asking for more seats than the timetable's house has is an error of the request. At a screen
        it is not: there, the store refuses it with NotEnoughSeats or SoldOut.
        """
        seats = play.house.seats
        if self.seats and self.seats[-1] > seats:
            return {self.field: [f"The seats are numbered from 1 to {seats}."]}
        if self.amount > seats and play.screen is None:
            return {self.field: [f"Must be from 1 to {seats}."]}
        return {}
