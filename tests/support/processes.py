"""Processes of which any may be gone by the time that we come to it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil


def kill(processes: Iterable[psutil.Process]) -> None:
    """End these with -9; some of them end with another that was killed before."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def command_line(process: psutil.Process) -> list[str]:
    """Its command line; nothing of one that has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def with_command(*command: str) -> list[psutil.Process]:
    """All on this machine with just this command line."""
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == list(command)]
