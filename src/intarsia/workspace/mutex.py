"""Locks between processes that last for milliseconds. The system frees them when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

FILES = 256


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """Nobody else is in here with this name. Names share a fixed number of files, so never take a second one inside."""
    number = blake2b(os.fsencode(name), digest_size=2).digest()
    place = f"{folder}/{int.from_bytes(number, 'big') % FILES}"
    try:
        descriptor = _opened(place)
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _opened(place)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(place: str) -> int:
    return os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
