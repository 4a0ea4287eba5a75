"""Which gateways run for a project on this machine: a file each, for people who look whether one is there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from intarsia.run.context import host_name, is_alive, supervisor_id

FOLDER = "gateways"


class Entry(Struct, frozen=True):
    """`process` is host, process id and its start; `since` is in seconds since the epoch."""

    url: str
    process: str
    since: float

    @property
    def pid(self) -> str:
        return self.process.split(":")[-2]


def enter(state: Path, url: str) -> Path:
    """The file of a gateway that begins; those of gateways that were killed go."""
    folder = state / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, entry in _entries(state):
        if not _lives(entry):
            path.unlink(missing_ok=True)
    path = folder / f"{os.getpid()}-{url.rpartition(':')[2]}.json"
    entry = Entry(url, supervisor_id(host_name()), time.time())
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(msgspec.json.encode(entry))
    unfinished.replace(path)
    return path


def running(state: Path) -> list[Entry]:
    """The oldest first; whether they answer is another question."""
    return sorted((entry for _, entry in _entries(state) if _lives(entry)), key=lambda entry: entry.since)


def _entries(state: Path) -> Iterator[tuple[Path, Entry]]:
    for path in (state / FOLDER).glob("*.json"):
        with suppress(FileNotFoundError, msgspec.MsgspecError):
            yield path, msgspec.json.decode(path.read_bytes(), type=Entry)


def _lives(entry: Entry) -> bool:
    with suppress(ValueError):
        return is_alive(entry.process, host_name()) is True
    return False
