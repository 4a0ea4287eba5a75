"""Who calls, by the header `Authorization: Bearer SECRET` and nothing else."""

from __future__ import annotations

from contextlib import suppress

from intarsia.errors import NotFound
from intarsia.gateway.statuses import Unauthorized
from intarsia.kernel import callers, members, sessions
from intarsia.kernel.database import Transaction

MOST_KNOWN = 10_000


class Bearers:
    """Remembers under the hash of a secret whose it is: looking for it takes longer the more sessions there were."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def identify(self, tx: Transaction, header: str, name_meant: str = "") -> str:
        """The session's id or the member's name, who is seen; raises Unauthorized."""
        secret = secret_in(header)
        name = self._found(tx, secret)
        if name_meant not in ("", name):
            raise Unauthorized(f"This is not the secret of {name_meant}.", hint="Give the secret in INTARSIA_SECRET.")
        if not sessions.exists(tx, name):
            members.touch(tx, name)
        return name

    def _found(self, tx: Transaction, secret: str) -> str:
        digest = sessions.digest(secret)
        if digest in self._known:
            with suppress(NotFound):
                return callers.authenticate(tx, self._known[digest], secret)
        try:
            name = callers.of(tx, secret)
        except NotFound as error:
            raise Unauthorized(error.message, hint="Give the secret in INTARSIA_SECRET.") from None
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[digest] = name
        return name


def secret_in(header: str) -> str:
    """Raises Unauthorized."""
    scheme, _, secret = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized("Say who you are.", hint="Send the header: Authorization: Bearer $INTARSIA_SECRET")
    return secret.strip()
