"""Why the box office refuses a request: the status, code and message of each reason."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar


class Refusal(Exception):
    """A request that the box office refuses.

    `code` is stable and meant for programs, `detail` is one sentence for a customer, and `facts`
    are extra members of the problem document (such as `seats_left`), as in the `example`.
    """

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    detail: ClassVar[str]
    headers: ClassVar[dict[str, str]] = {}
    example: ClassVar[dict[str, Any]] = {}

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.code)
        self.facts = facts


class MalformedJSON(Refusal):
    """The body cannot be read as a JSON object."""

    status = HTTPStatus.BAD_REQUEST
    code = "malformed_json"
    detail = "The body of the request is not a JSON object."


class InvalidRequest(Refusal):
    """Fields are missing, unknown or invalid.

    `errors` maps each bad field, by its name in the request, to a list of messages.
    """

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_request"
    detail = "Some fields of the request are missing, unknown or invalid; see errors."
    example = {"errors": {"field": ["Missing data for required field."]}}

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors=errors)
        self.errors = errors


class Unauthorized(Refusal):
    """The route is for staff, and the staff key is missing or wrong."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"
    detail = "Only theatre staff can do this; the staff key is missing or wrong."
    headers = {"WWW-Authenticate": "Bearer"}


class PhoneMismatch(Refusal):
    """The ticket exists, but was booked with another phone."""

    status = HTTPStatus.FORBIDDEN
    code = "phone_mismatch"
    detail = "This ticket was booked with another phone number."


class TicketNotFound(Refusal):
    """No ticket has this id or code: never booked, deleted, or expired and removed."""

    status = HTTPStatus.NOT_FOUND
    code = "ticket_not_found"
    detail = "There is no ticket with this id or code."


class ScreenNotFound(Refusal):
    """No screen has this number."""

    status = HTTPStatus.NOT_FOUND
    code = "screen_not_found"
    detail = "There is no screen with this number."


class MovieNotFound(Refusal):
    """No movie has this number."""

    status = HTTPStatus.NOT_FOUND
    code = "movie_not_found"
    detail = "There is no movie with this number."


class NotOnSale(Refusal):
    """The movie's tickets have not been put on sale."""

    status = HTTPStatus.CONFLICT
    code = "not_on_sale"
    detail = "Tickets for this movie are not on sale yet."


class NotEnoughSeats(Refusal):
    """The showing has fewer free seats than were asked for; `seats_left` says how many."""

    status = HTTPStatus.CONFLICT
    code = "not_enough_seats"
    detail = "This showing does not have that many seats left."
    example = {"seats_left": 2}

    def __init__(self, seats_left: int) -> None:
        super().__init__(seats_left=seats_left)


class SoldOut(Refusal):
    """Every seat of the showing is taken."""

    status = HTTPStatus.CONFLICT
    code = "sold_out"
    detail = "This showing is sold out."


class SeatTaken(Refusal):
    """Another ticket has the seat; `free_seats` lists, in ascending order, those that are left."""

    status = HTTPStatus.CONFLICT
    code = "seat_taken"
    detail = "This seat is taken; please choose another one."
    example = {"free_seats": [3, 8, 20]}

    def __init__(self, free_seats: list[int]) -> None:
        super().__init__(free_seats=free_seats)


class ShowingStarted(Refusal):
    """The showing has started, so its tickets cannot be moved and its seats cannot be bought."""

    status = HTTPStatus.CONFLICT
    code = "showing_started"
    detail = "The showing has already started."


class TicketExpired(Refusal):
    """The ticket's showing is long over, and the ticket is about to be removed."""

    status = HTTPStatus.CONFLICT
    code = "ticket_expired"
    detail = "This ticket has expired."


class AlreadyAdmitted(Refusal):
    """The ticket was admitted at `admitted_at`, and cannot be moved, deleted or admitted again."""

    status = HTTPStatus.CONFLICT
    code = "already_admitted"
    detail = "This ticket has already been admitted."
    example = {"admitted_at": "2026-11-22T17:41:05+05:30"}


class AdmissionNotOpen(Refusal):
    """The doors for the ticket's showing do not open until `opens_at`."""

    status = HTTPStatus.CONFLICT
    code = "admission_not_open"
    detail = "The doors for this showing are not open yet."
    example = {"opens_at": "2026-11-22T16:00:00+05:30"}


class OtherShowing(Refusal):
    """The ticket is for a different showing from the one at this door."""

    status = HTTPStatus.CONFLICT
    code = "other_showing"
    detail = "This ticket is for a different showing."


class IdempotencyKeyReused(Refusal):
    """The idempotency key was already used for a different request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"
    detail = "This idempotency key was already used for a different request."
