"""`intarsia lock guard`: hold resources while a command runs."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, with_change
from intarsia.cli.identity import client
from intarsia.cli.lock import chosen, mode_option, shared_option, ttl_option, wait_option
from intarsia.errors import IntarsiaError, NotReady, UsageError
from intarsia.gateway import leases as op
from intarsia.gateway.client import Client
from intarsia.gateway.leases import Granted
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
    note = shlex.join(command)[:200]
    given = op.Acquire(resources=list(on), mode=chosen(mode, shared), ttl=ttl, wait=wait, note=note, alone=True)
    if output.dry_run:
        given.wait = 0
    asks = client(dry_run=output.dry_run)
    with _signals() as handle:
        grant = asks.call(op.acquire, given)
        if output.dry_run:
            told = f"{shlex.join(command)} would run, holding {', '.join(grant.resources)}."
            output.show(told, **to_builtins(grant))
            return 0
        with _held(asks, grant):
            code = _run(asks, grant, ttl, command, sys.stderr.fileno() if output.json else None, handle)
    if output.json:
        output.show("", exit_code=code, **to_builtins(grant))
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


@contextmanager
def _held(asks: Client, grant: Granted) -> Iterator[None]:
    try:
        yield
    finally:
        for name in grant.resources:  # one by one: of several, some may be lost
            try:
                asks.call(op.release, op.Release(resources=[name]))
            except IntarsiaError as error:
                if error.code != "not_holder":
                    print(f"intarsia: {name} was not given back: {error.message}", file=sys.stderr)


def _run(asks: Client, grant: Granted, ttl: int, command: tuple[str, ...], stdout: int | None, handle: Handle) -> int:
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
    with _renewing(asks, grant, ttl, process):
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
def _renewing(asks: Client, grant: Granted, ttl: int, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Renew every third of the TTL; without the lease the command must not go on."""
    over = threading.Event()

    def renew() -> None:
        until = time.monotonic() + ttl
        while not over.wait(min(ttl / 3, max(0.0, until - time.monotonic()))):
            try:
                asks.call(op.heartbeat, op.Heartbeat(resources=grant.resources, ttl=ttl))
                until = time.monotonic() + ttl
            except IntarsiaError as error:
                if error.exit_code == NotReady.exit_code:
                    print(f"intarsia: could not renew the lease: {error.message}", file=sys.stderr)
                else:
                    until = 0.0
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
