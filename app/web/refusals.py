"""The refusals of HTTP requests as such, and the status of every refusal."""

from __future__ import annotations

from http import HTTPStatus

from app.domain import refusals
from app.domain.refusals import InvalidRequest, Refusal
from app.web.limits import MAX_BODY_BYTES


class MalformedJSON(Refusal):
    """The body cannot be read as a JSON object."""

    code = "malformed_json"
    detail = "The body of the request is not a JSON object."


class Unauthorized(Refusal):
    """The route is for staff, and the staff key is missing or wrong."""

    code = "unauthorized"
    detail = "Only theatre staff can do this; the staff key is missing or wrong."


class CrossSite(Refusal):
    """A web page of another origin asked for what only our own pages and programs may do."""

    code = "cross_site"
    detail = "A page of another website cannot do this."


class MisdirectedRequest(Refusal):
    """The service is only for this machine, and was called by a name that may mean another one."""

    code = "misdirected_request"
    detail = (
        "Without a STAFF_KEY, this service is only for this machine, under names such as "
        "localhost; to use another name, set STAFF_KEY, HOST or TRUSTED_PROXIES."
    )


class NotFound(Refusal):
    """There is nothing at this address."""

    code = "not_found"
    detail = "There is nothing at this address."


class MethodNotAllowed(Refusal):
    """The address does not support the method."""

    code = "method_not_allowed"
    detail = "This address does not support this method; see the Allow header."


class PayloadTooLarge(Refusal):
    """The body is longer than MAX_BODY_BYTES."""

    code = "payload_too_large"
    detail = f"The body of the request is larger than {MAX_BODY_BYTES // 1024} KiB."


class UnsupportedMediaType(Refusal):
    """The body is compressed."""

    code = "unsupported_media_type"
    detail = "The body of the request is compressed; please send it uncompressed."


class InternalError(Refusal):
    """A bug of ours."""

    code = "internal_error"
    detail = "Something went wrong on our side; the error has been logged."


class _Retryable(Refusal):
    """A failure that passes: the same request may succeed in a moment."""

    example = {"retryable": True}

    def __init__(self) -> None:
        super().__init__(retryable=True)


class RequestTimeout(_Retryable):
    """The body was late."""

    code = "request_timeout"
    detail = "The request took too long to arrive."


class TooManyRequests(_Retryable):
    """The client has sent more requests than RATE_LIMIT allows."""

    code = "too_many_requests"
    detail = "There have been too many requests from this address; please try again later."


class DatabaseUnavailable(_Retryable):
    """MongoDB is unavailable."""

    code = "database_unavailable"
    detail = "The box office cannot reach its database; please try again in a moment."


class Overloaded(_Retryable):
    """A request waited too long for its turn."""

    code = "overloaded"
    detail = "The box office is too busy right now; please try again in a moment."


STATUSES: dict[type[Refusal], HTTPStatus] = {
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    MalformedJSON: HTTPStatus.BAD_REQUEST,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    CrossSite: HTTPStatus.FORBIDDEN,
    refusals.PhoneMismatch: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    refusals.TicketNotFound: HTTPStatus.NOT_FOUND,
    refusals.ScreenNotFound: HTTPStatus.NOT_FOUND,
    refusals.MovieNotFound: HTTPStatus.NOT_FOUND,
    MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    RequestTimeout: HTTPStatus.REQUEST_TIMEOUT,
    refusals.ScreenBusy: HTTPStatus.CONFLICT,
    refusals.HasTickets: HTTPStatus.CONFLICT,
    refusals.NotOnSale: HTTPStatus.CONFLICT,
    refusals.SoldOut: HTTPStatus.CONFLICT,
    refusals.NotEnoughSeats: HTTPStatus.CONFLICT,
    refusals.SeatTaken: HTTPStatus.CONFLICT,
    refusals.ShowingStarted: HTTPStatus.CONFLICT,
    refusals.TicketExpired: HTTPStatus.CONFLICT,
    refusals.AlreadyAdmitted: HTTPStatus.CONFLICT,
    refusals.AdmissionNotOpen: HTTPStatus.CONFLICT,
    refusals.OtherShowing: HTTPStatus.CONFLICT,
    PayloadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    MisdirectedRequest: HTTPStatus.MISDIRECTED_REQUEST,
    refusals.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    InternalError: HTTPStatus.INTERNAL_SERVER_ERROR,
    DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
}
