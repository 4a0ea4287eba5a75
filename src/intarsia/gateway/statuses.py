"""Which status of HTTP says what went wrong, and which exit code a command ends with for it."""

from __future__ import annotations

from intarsia.errors import (
    ConfigError,
    Conflict,
    DatabaseError,
    InputError,
    IntarsiaError,
    NotFound,
    NotReady,
    UsageError,
)


class Unauthorized(NotFound):
    """No secret was given, or one of nobody."""

    code = "unauthorized"


STATUSES: tuple[tuple[type[IntarsiaError], int], ...] = (
    (Unauthorized, 401),
    (NotFound, 404),
    (InputError, 400),
    (UsageError, 422),
    (DatabaseError, 503),
    (NotReady, 412),
    (ConfigError, 503),
    (Conflict, 409),
    (IntarsiaError, 409),
)
"""The first that fits."""
SAID = {
    400: "A value is wrong.",
    401: "No secret was given, or one of nobody.",
    403: "The request comes from a web page, or by another name of this machine.",
    404: "What is named is not there.",
    405: "Another method is meant.",
    409: "The state of things does not allow it now.",
    412: "The caller, the project or the machine is not ready for it.",
    413: "It is too large.",
    415: "It is not JSON.",
    422: "The values make no sense together.",
    500: "A defect of intarsia.",
    503: "The database can't be reached, or the configuration is wrong.",
}
EXIT_CODES = {400: 4, 401: 4, 403: 4, 404: 4, 405: 4, 409: 1, 412: 2, 413: 4, 415: 4, 422: 2, 503: 2}


def status_of(error: IntarsiaError) -> int:
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def exit_code_of(status: int) -> int:
    return EXIT_CODES.get(status, 1)
