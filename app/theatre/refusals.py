"""What can go wrong at the box office, in the theatre's own terms; knows nothing of HTTP."""

from __future__ import annotations

from typing import Any, ClassVar


class BoxOfficeError(Exception):
    """A request that the box office refuses.

    `code` is stable and meant for programs, `detail` is one sentence for a customer, and `facts`
    are further members of the answer (such as `seats_left`).
    """

    code: ClassVar[str]
    detail: ClassVar[str]

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.code)
        self.facts = facts


class MalformedJSON(BoxOfficeError):
    """The body cannot be read as a JSON object."""

    code = "malformed_json"
    detail = "The body of the request is not a JSON object."


class InvalidRequest(BoxOfficeError):
    """Fields are missing, unknown or wrong.

    `errors` maps each bad field, by its name in the request, to a list of messages.
    """

    code = "invalid_request"
    detail = "Some fields of the request are missing, unknown or wrong; see errors."

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors=errors)
        self.errors = errors


class Unauthorized(BoxOfficeError):
    """What only the staff may do was asked for without the staff key."""

    code = "unauthorized"
    detail = "This is for the staff of the theatre; the staff key is missing or wrong."


class PhoneMismatch(BoxOfficeError):
    """The ticket exists, but was booked with another phone."""

    code = "phone_mismatch"
    detail = "This ticket was booked with another phone number."


class TicketNotFound(BoxOfficeError):
    """No ticket has this id: never booked, deleted, or expired and removed."""

    code = "ticket_not_found"
    detail = "There is no ticket with this id."


class ScreenNotFound(BoxOfficeError):
    """No screen has this number."""

    code = "screen_not_found"
    detail = "There is no screen with this number."


class MovieNotFound(BoxOfficeError):
    """No movie has this number."""

    code = "movie_not_found"
    detail = "There is no movie with this number."


class NotOnSale(BoxOfficeError):
    """The movie's tickets have not been put on sale."""

    code = "not_on_sale"
    detail = "Tickets for this movie are not on sale yet."


class NotEnoughSeats(BoxOfficeError):
    """The showing has fewer free seats than were asked for; `seats_left` says how many."""

    code = "not_enough_seats"
    detail = "This showing does not have that many free seats."

    def __init__(self, seats_left: int) -> None:
        super().__init__(seats_left=seats_left)


class SoldOut(BoxOfficeError):
    """Every seat of the showing is taken."""

    code = "sold_out"
    detail = "This showing is sold out."


class SeatTaken(BoxOfficeError):
    """Another ticket has the seat; `free_seats` lists, in ascending order, those that are left."""

    code = "seat_taken"
    detail = "This seat is taken; please choose another one."

    def __init__(self, free_seats: list[int]) -> None:
        super().__init__(free_seats=free_seats)


class ShowingStarted(BoxOfficeError):
    """The showing has begun, so its tickets and seats are no longer traded."""

    code = "showing_started"
    detail = "The showing has already started."


class TicketExpired(BoxOfficeError):
    """The ticket's showing is long over; it awaits removal."""

    code = "ticket_expired"
    detail = "This ticket has expired."


class AlreadyAdmitted(BoxOfficeError):
    """The ticket was admitted at the instant `admitted_at`, and now stays as it is."""

    code = "already_admitted"
    detail = "This ticket has already been admitted."


class AdmissionNotOpen(BoxOfficeError):
    """The doors of the ticket's showing open at the instant `opens_at`."""

    code = "admission_not_open"
    detail = "The doors for this showing are not open yet."


class OtherShowing(BoxOfficeError):
    """The ticket belongs to another showing than the one that the door is for."""

    code = "other_showing"
    detail = "This ticket is for another showing."


class IdempotencyKeyReused(BoxOfficeError):
    """The idempotency key came with a different request before."""

    code = "idempotency_key_reused"
    detail = "This idempotency key was already used for a different request."
