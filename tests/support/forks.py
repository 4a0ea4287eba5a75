"""The real command line in processes that start at the same instant, die at a chosen statement, or have a wrong clock.

One process imports intarsia once and forks itself for each order, so that 200 of them cost what 20 cost otherwise. All
orders of a call wait at one gate. The boundaries of an order are the instants before each call of the database's
engine, and those in and after what can't be taken back; with a `kill_at` of n it kills itself with -9 at the nth.

Run as a program, it serves `Forks`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from intarsia import settings

MODULE = "tests.support.forks"
BOUNDARY = "boundary: "
PATIENCE = 300
"""Seconds that an order waits for the database: two hundred at once take long on a slow machine."""


class Order(Struct, frozen=True):
    """`intarsia ARGS`; with `call`, the function `module:name` on `args` instead. Its clock is `skew` seconds ahead."""

    directory: str
    args: list[str]
    env: dict[str, str]
    call: str = ""
    kill_at: int | None = None
    skew: float = 0


class Ended(Struct, frozen=True):
    """`code` is minus the signal for who was killed."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def boundaries(self) -> list[str]:
        """What the engine was about to do at each boundary that was reached."""
        return [line.removeprefix(BOUNDARY) for line in self.err.splitlines() if line.startswith(BOUNDARY)]


class Forks:
    """`prefix` is put before the command that starts the server, to have it in another place."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._server = subprocess.Popen(
            [*prefix, sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed:  # with orders that may never end
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait() if failed else self._server.communicate()

    def run(self, orders: Sequence[Order], at_once: int | None = None) -> list[Ended]:
        """Carry out all orders together, or so many at once, each batch from one gate; the answers in their order."""
        size = at_once or len(orders) or 1
        return [one for n in range(0, len(orders), size) for one in self._batch(orders[n : n + size])]

    def _batch(self, orders: Sequence[Order]) -> list[Ended]:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(msgspec.json.encode(orders) + b"\n")
        self._server.stdin.flush()
        return msgspec.json.decode(self._server.stdout.readline(), type=list[Ended])


def serve() -> None:
    for name in ("psycopg", *(f"intarsia.cli.{name}" for name in ("issue", "claims", "lock", "queues", "agent"))):
        importlib.import_module(name)
    _be_patient()
    settings.load(Path("/nonexistent"))  # half of the time of a short command goes into this, the first time
    gc.freeze()
    for line in sys.stdin.buffer:
        orders = msgspec.json.decode(line, type=list[Order])
        sys.stdout.buffer.write(msgspec.json.encode(_carry_out(orders)) + b"\n")
        sys.stdout.buffer.flush()


def _be_patient() -> None:
    from intarsia.kernel import postgresql, sqlite

    for engine in (postgresql, sqlite):
        engine.BUSY_SECONDS = PATIENCE  # type: ignore[attr-defined]
    postgresql.SESSION |= dict.fromkeys(("lock_timeout", "statement_timeout"), f"{PATIENCE}s")


def _carry_out(orders: Sequence[Order]) -> list[Ended]:
    gate, opener = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        children = []
        for n, order in enumerate(orders):
            if (child := os.fork()) == 0:
                os.close(opener)
                _child(order, gate, f"{folder}/{n}")
            children.append(child)
        os.close(gate)
        os.close(opener)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        said = [[Path(f"{folder}/{n}.{end}").read_text() for end in ("out", "err")] for n in range(len(orders))]
        return [Ended(code, *texts) for code, texts in zip(codes, said, strict=True)]


def _child(order: Order, gate: int, name: str) -> None:
    writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = (os.open(os.devnull, os.O_RDONLY), *(os.open(f"{name}.{end}", writing) for end in ("out", "err")))
    for number, file in enumerate(files):
        os.dup2(file, number)
    code = 70
    try:
        os.read(gate, 1)
        _prepare(order)
        _run(order)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        if sys.exc_info()[0]:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _prepare(order: Order) -> None:
    os.chdir(order.directory)
    os.environ.clear()
    os.environ.update(order.env)
    if order.skew:
        right = time.time
        time.time = lambda: right() + order.skew
    if order.kill_at is not None:
        watch(order.kill_at)


def _run(order: Order) -> None:
    if order.call:
        module, _, name = order.call.partition(":")
        getattr(importlib.import_module(module), name)(*order.args)
    else:
        sys.argv = ["intarsia", *order.args]
        importlib.import_module("intarsia.cli").main()


def watch(kill_at: int) -> None:
    """Tell each boundary, and die at the one with this number."""
    from intarsia.kernel.postgresql import PostgreSQL
    from intarsia.kernel.sqlite import SQLite

    count = 0

    def reach(name: str, first: Callable[[], None] = lambda: None) -> None:
        nonlocal count
        count += 1
        os.write(2, f"{BOUNDARY}{name}\n".encode())
        if count == kill_at:
            first()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(engine: type[Any], name: str) -> None:
        inner = getattr(engine, name)
        for_good = name in ("commit", "call")

        def outer(self: Any, *args: Any) -> Any:
            said = " ".join(args[0].split())[:80] if name in ("execute", "call") else ""
            reach(f"before {name} {said}".rstrip())
            if for_good and engine is PostgreSQL:
                reach(f"sent {name}", lambda: _send(self._connection, *(args or ("COMMIT", {}))))
            found = inner(self, *args)
            if for_good:
                reach(f"after {name}")
            return found

        setattr(engine, name, outer)

    for engine in (SQLite, PostgreSQL):
        for name in ("begin", "execute", "commit", "rollback", "call"):
            around(engine, name)


def _send(connection: Any, sql: str, params: Mapping[str, Any]) -> None:
    """Give a statement to the server, and do not wait for its answer."""
    from psycopg._queries import PostgresQuery
    from psycopg.adapt import Transformer

    from intarsia.kernel.postgresql import _psycopg_style

    query = PostgresQuery(Transformer(connection))
    query.convert(_psycopg_style(sql), params)
    connection.pgconn.send_query_params(query.query, query.params, query.types, query.formats)


def environment(name: str, secret: str, base: Mapping[str, str]) -> dict[str, str]:
    """What makes a process the member of this name."""
    return {**base, "INTARSIA_AGENT": name, "INTARSIA_SECRET": secret}


if __name__ == "__main__":
    serve()
