"""`intarsia lock guard`: hold resources while a command runs."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

import click

from intarsia.cli.common import Output, Project, open_project, with_change
from intarsia.cli.identity import caller
from intarsia.cli.lock import chosen, mode_option, shared_option, ttl_option, wait_option
from intarsia.errors import DatabaseError, UsageError
from intarsia.gateway.leases import check_wait, lockable
from intarsia.kernel import leases, line
from intarsia.kernel.leases import Grant, Lease
from intarsia.kernel.modes import Mode

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
TYPED = (signal.SIGINT, signal.SIGQUIT)


@click.command()
@click.option("--on", "on", multiple=True, required=True, metavar="RESOURCE", help="May be given several times.")
@mode_option
@shared_option
@ttl_option
@wait_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@with_change
def guard(
    output: Output,
    /,
    on: tuple[str, ...],
    mode: Mode | None,
    shared: bool,
    ttl: int,
    wait: float,
    command: tuple[str, ...],
) -> int:
    """Hold resources while a command runs, renewing by itself. Its exit code is ours.

    Signals go to the command, and the resources are given back when it has ended. It is ended (SIGTERM) when they are
    lost, for instance by force. What you hold already by another command stands in the way too. With --json, the
    command's output goes to stderr.

    \b
    Example:
      intarsia lock guard --on code:migrations --wait 60 -- ./manage.py makemigrations
    """
    check_wait(wait)
    mode = chosen(mode, shared)
    project = open_project(dry_run=output.dry_run)
    wanted = {lockable(project.repository.root, name): mode for name in on}
    with project.database.transaction() as tx:
        me = caller(project, tx)
    with _signals() as handle:
        grant = _grant(project, me, wanted, ttl, 0 if output.dry_run else wait, shlex.join(command)[:200])
        if output.dry_run:
            output.show(f"{shlex.join(command)} would run, holding {', '.join(grant.resources)}.", **grant.as_json())
            return 0
        with _held(project, grant):
            code = _run(project, grant, ttl, command, sys.stderr.fileno() if output.json else None, handle)
    if output.json:
        output.show("", exit_code=code, **grant.as_json())
    return code


Handle = Callable[[Callable[[int], None]], None]


@contextmanager
def _signals() -> Iterator[Handle]:
    """Signals end us with the code a shell gives, until what is to be done with them instead is handed in."""

    def stop(number: int) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    do: list[Callable[[int], None]] = [stop]

    def handler(number: int, frame: FrameType | None) -> None:
        do[0](number)

    ours = [number for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in ours}
    try:
        yield lambda instead: do.__setitem__(0, instead)
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _grant(project: Project, me: str, wanted: Mapping[str, Mode], ttl: int, wait: float, note: str) -> Grant:
    """Like `line.acquire`, but a lease of our own, of another process, is not one to join in."""
    deadline = time.monotonic() + wait
    while mine := _mine(project, me, wanted):
        left = deadline - time.monotonic()
        if left <= 0:
            raise leases.held_error(mine[0])
        project.database.wait_for_change(project.database.changes(), min(left, 0.1))
    grant = line.acquire(project.database, me, wanted, ttl, wait=max(0.0, deadline - time.monotonic()), note=note)
    for lease in _mine(project, me, wanted):
        if lease.acquired + ttl < grant.expires:
            raise leases.held_error(lease)  # by one who began at the same moment
    return grant


def _mine(project: Project, me: str, wanted: Mapping[str, Mode]) -> list[Lease]:
    with project.database.read() as tx:
        return [lease for lease in leases.of(tx, me) if lease.resource in wanted]


@contextmanager
def _held(project: Project, grant: Grant) -> Iterator[None]:
    try:
        yield
    finally:
        line.release(project.database, grant.session, grant.resources)


def _run(project: Project, grant: Grant, ttl: int, command: tuple[str, ...], stdout: int | None, handle: Handle) -> int:
    early: list[int] = []
    handle(early.append)
    try:
        process = subprocess.Popen(command, stdout=stdout)
    except OSError as error:
        raise UsageError(f"{command[0]} can't be run: {error.strerror}.") from error

    def forward(number: int) -> None:
        if number not in TYPED or not _has_terminal():
            process.send_signal(number)

    handle(forward)
    for number in early:
        forward(number)
    with _renewing(project, grant, ttl, process):
        code = process.wait()
    return code if code >= 0 else 128 - code


def _has_terminal() -> bool:
    """Whether we are in the foreground of a terminal: then the command got what was typed there by itself."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


@contextmanager
def _renewing(project: Project, grant: Grant, ttl: int, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Renew every third of the TTL; without the lease the command must not go on."""
    over = threading.Event()

    def renew() -> None:
        until = time.monotonic() + ttl
        while not over.wait(min(ttl / 3, max(0.0, until - time.monotonic()))):
            try:
                with project.database.transaction() as tx:
                    alive = all(leases.renew_one(tx, grant.session, name, ttl) for name in grant.resources)
                until = time.monotonic() + ttl if alive else 0.0
            except DatabaseError as error:
                print(f"intarsia: could not renew the lease: {error.message}", file=sys.stderr)
            if time.monotonic() >= until:
                print("intarsia: the lease was lost; ending the command.", file=sys.stderr)
                process.send_signal(signal.SIGTERM)
                return

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
