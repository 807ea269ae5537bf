"""Why the box office refuses a request: the code and the message of each reason."""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A request that the box office refuses.

    `code` is stable and meant for programs, `detail` is one sentence for a customer, and `facts`
    are extra members of the problem document (such as `seats_left`), as in the `example`.
    """

    code: ClassVar[str]
    detail: ClassVar[str]
    example: ClassVar[dict[str, Any]] = {}

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.code)
        self.facts = facts


class InvalidRequest(Refusal):
    """Fields are missing, unknown or invalid.

    `errors` maps each bad field, by its name in the request, to a list of messages.
    """

    code = "invalid_request"
    detail = "Some fields of the request are missing, unknown or invalid; see errors."
    example = {"errors": {"field": ["Missing data for required field."]}}

    def __init__(self, errors: dict[str, list[str]], **facts: Any) -> None:
        super().__init__(errors=errors, **facts)
        self.errors = errors


class PhoneMismatch(Refusal):
    """The ticket exists, but was booked with another phone, or without one."""

    code = "phone_mismatch"
    detail = "This is not the phone number that the ticket was booked with."


class TicketNotFound(Refusal):
    """No ticket has this id or code: never booked, deleted, or expired and removed."""

    code = "ticket_not_found"
    detail = "There is no ticket with this id or code."


class ScreenNotFound(Refusal):
    """No screen has this number."""

    code = "screen_not_found"
    detail = "There is no screen with this number."


class MovieNotFound(Refusal):
    """No movie has this number."""

    code = "movie_not_found"
    detail = "There is no movie with this number."


class ScreenBusy(Refusal):
    """Another `movie` already plays on the screen at this time."""

    code = "screen_busy"
    detail = "Another movie plays on this screen at this time."
    example = {"movie": 1}

    def __init__(self, movie: int) -> None:
        super().__init__(movie=movie)


class HasTickets(Refusal):
    """The movie has sold this many `tickets` that have not expired yet."""

    code = "has_tickets"
    detail = "Tickets for this movie have been sold and have not expired yet."
    example = {"tickets": 3}

    def __init__(self, tickets: int) -> None:
        super().__init__(tickets=tickets)


class NotOnSale(Refusal):
    """The movie's tickets are not on sale."""

    code = "not_on_sale"
    detail = "Tickets for this movie are not on sale."


class SoldOut(Refusal):
    """Every seat of the showing is taken."""

    code = "sold_out"
    detail = "This showing is sold out."
    example = {"seats_left": 0}

    def __init__(self) -> None:
        super().__init__(seats_left=0)


class NotEnoughSeats(Refusal):
    """The showing has fewer free seats than requested; `seats_left` says how many."""

    code = "not_enough_seats"
    detail = "This showing does not have that many seats left."
    example = {"seats_left": 2}

    def __init__(self, seats_left: int) -> None:
        super().__init__(seats_left=seats_left)


class SeatTaken(Refusal):
    """Another ticket has a chosen seat; `free_seats` lists those that are left, ascending."""

    code = "seat_taken"
    detail = "A seat you chose is taken; please choose another one."
    example = {"free_seats": [3, 8, 20]}

    def __init__(self, free_seats: list[int]) -> None:
        super().__init__(free_seats=free_seats)


class ShowingStarted(Refusal):
    """The showing has started, so its seats can no longer be booked, nor its tickets moved."""

    code = "showing_started"
    detail = "The showing has already started."


class TicketExpired(Refusal):
    """The ticket has expired, and is about to be removed."""

    code = "ticket_expired"
    detail = "This ticket has expired."


class AlreadyAdmitted(Refusal):
    """People of this ticket are in, so it cannot be moved or deleted, or nobody is left to admit.

    `admitted` is how many of them are in since `admitted_at`, and `people_left` how many are not.
    """

    code = "already_admitted"
    detail = "People with this ticket have already been admitted."
    example = {"admitted_at": "2026-11-22T17:41:05+05:30", "admitted": 4, "people_left": 0}


class AdmissionNotOpen(Refusal):
    """The doors for the ticket's showing do not open until `opens_at`."""

    code = "admission_not_open"
    detail = "The doors for this showing are not open yet."
    example = {"opens_at": "2026-11-22T16:00:00+05:30"}


class OtherShowing(Refusal):
    """The ticket is for a different showing from the one at this door."""

    code = "other_showing"
    detail = "This ticket is for a different showing."


class IdempotencyKeyReused(Refusal):
    """The idempotency key was already used for a different request."""

    code = "idempotency_key_reused"
    detail = "This idempotency key was already used for a different request."
