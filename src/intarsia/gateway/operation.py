"""An operation: what may be asked for, what is answered, and the function that does it for a caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

from msgspec import Meta, Struct

from intarsia.kernel import sessions

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.config import Config
    from intarsia.gateway.watcher import Watcher
    from intarsia.kernel.database import Database, Transaction
    from intarsia.kernel.sessions import Session
    from intarsia.workspace.repository import Repository
    from intarsia.workspace.shared import Tree

NO_NUL = r"^[^\u0000]*$"
Text = Annotated[str, Meta(pattern=NO_NUL)]
# What else is described is for the operations to refuse: they say it in words, and the same to commands without HTTP.
Words = Annotated[str, Meta(pattern=NO_NUL, extra_json_schema={"pattern": r"^[^\u0000]*[^\u0000\s][^\u0000]*$"})]
Seconds = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 86_400})]


class Given(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is asked for; each field's description is what the reference of the endpoints and tools shows."""


class Answer(Struct, kw_only=True):
    """What is answered, beside `"ok": true`."""


class Site:
    """The project that is worked on; its shared tree is opened when it is asked for."""

    def __init__(self, repository: Repository, database: Database, config: Config, tree: Tree | None = None) -> None:
        self.repository = repository
        self.database = database
        self.config = config
        self._tree = tree
        self._alone = threading.Lock()

    @property
    def root(self) -> Path:
        return self.repository.root

    def shared_tree(self) -> Tree:
        from intarsia.run import sharing  # and with it the grammars

        with self._alone:
            if self._tree is None:
                self._tree = sharing.open_tree(self.repository, self.database, self.config, self.config.land.target)
            return self._tree


class Nobody:
    """A watcher where nobody watches."""

    def activity(self, session: str, text: str) -> None:
        pass

    def notice(self, text: str) -> None:
        pass


class Caller(Struct, frozen=True):
    """Who asks: `identify` proves it inside of a transaction. `withdrawn` says that nobody waits for the answer."""

    site: Site
    identify: Callable[[Transaction], str]
    withdrawn: Callable[[], bool] = lambda: False
    watcher: Watcher = Nobody()

    @property
    def database(self) -> Database:
        return self.site.database

    def session(self, tx: Transaction) -> Session | None:
        """The caller as a session; None for a member."""
        name = self.identify(tx)
        return sessions.get(tx, name) if sessions.exists(tx, name) else None


G = TypeVar("G", bound=Given)
A = TypeVar("A", bound=Answer)


class Operation(Struct, Generic[G, A], frozen=True):
    """`path` is that of its endpoint, below /v1/; `waits`: it may take as long as it is asked to wait."""

    path: str
    given: type[G]
    answer: type[A]
    run: Callable[[Caller, G], A]
    waits: bool = False

    @property
    def about(self) -> str:
        return (self.run.__doc__ or "").strip()


def operation(
    path: str, given: type[G], answer: type[A], *, waits: bool = False
) -> Callable[[Callable[[Caller, G], A]], Operation[G, A]]:
    def made(run: Callable[[Caller, G], A]) -> Operation[G, A]:
        return Operation(path, given, answer, run, waits)

    return made
