"""Asking for an operation: of the gateway at INTARSIA_URL, else of the database itself. The answer is the same."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from intarsia.errors import NotReady
from intarsia.gateway.operation import A, Caller, G, Operation

URL = "INTARSIA_URL"


class Client(Struct, frozen=True):
    """`url` is empty where there is no gateway. `credentials`: name and secret of who asks there; `caller` is who asks
    of the database.
    """

    url: str
    credentials: Callable[[], tuple[str, str]]
    caller: Callable[[], Caller]

    def call(self, operation: Operation[G, A], given: G) -> A:
        """Do it; raises what it raises.

        Where the gateway is gone, as its run ended before the agent that it started, the database is asked; also where
        another program is in its place, which is told nothing.
        """
        if not self.url:
            return operation.run(self.caller(), given)
        from intarsia.gateway import remote

        try:
            return remote.ask(self.url, self.credentials(), operation, given)
        except (ConnectionRefusedError, remote.Stranger) as error:
            caller = self._caller_instead(error)
        return operation.run(caller, given)

    def _caller_instead(self, error: Exception) -> Caller:
        """Raises NotReady, with what is wrong of the two, where there is no database either."""
        try:
            return self.caller()
        except NotReady:
            if isinstance(error, NotReady):
                raise error from None
            raise

    def prove(self) -> None:
        """Raise where nobody could be asked, or not as who this is."""
        if self.url:
            from intarsia.gateway import remote

            remote.place_of(self.url)
            self.credentials()
            return
        caller = self.caller()
        with caller.database.transaction() as tx:
            caller.identify(tx)
