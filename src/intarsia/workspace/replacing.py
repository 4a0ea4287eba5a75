"""Putting a new content in the place of a file's old one, whole or not at all, and never over what is not known.

Another program may write the same file at the same moment, without asking anybody. So the old and the new file change
places in one step (RENAME_EXCHANGE), and then what came out is looked at: if it is not what was expected, or somebody
has it open for writing, they change places again, and the caller is told. What remains open: a program that holds the
old file open for reading now and writes it later by other means, and systems without that step (it is Linux's), where
contents are compared just before the rename.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from intarsia.errors import Conflict

PATIENCE = 2.0
"""Seconds that a program which holds a file open for writing is waited for."""
_PAUSE = 0.002
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


class Moved(Exception):
    """The file is not what was expected; it was left as it is."""


class Busy(Conflict):
    """Another program has the file open for writing."""

    code = "busy"


def read(path: Path) -> bytes | None:
    """The whole content, once nobody has the file open for writing; None if there is no file. Raises Busy."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            content = file.read()
            if not _being_written(descriptor):
                return content
        if time.monotonic() > deadline:
            raise Busy(f"{path} is held open for writing by another program.", hint="Try again when that is done.")
        time.sleep(_PAUSE)


def replace(path: Path, expected: bytes | None, wanted: bytes | None, spare: Path) -> None:
    """Make the content `wanted` (None: no file) where it is `expected`; raises Moved where it is something else.

    `spare` is a free name on the same file system; after a kill it may hold the old content or the new one, whole.
    """
    if wanted is None:
        _take_away(path, expected, spare)
        return
    mode = path.stat().st_mode & 0o7777 if expected is not None else None
    _write(unfinished(spare), wanted, mode)
    unfinished(spare).rename(spare)
    try:
        if expected is None:
            _create(spare, path)
        else:
            _swap(spare, path, expected)
    finally:
        spare.unlink(missing_ok=True)


def unfinished(spare: Path) -> Path:
    """Where a new content is written: while that is there, nothing has changed its place."""
    return spare.with_name(f"{spare.name}.new")


def _write(path: Path, content: bytes, mode: int | None) -> None:
    with path.open("wb") as file:
        file.write(content)
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())  # an exchanged name may outlive a power cut that its content does not


def _create(spare: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(spare, path)
    except FileExistsError:
        raise Moved(path) from None


def _swap(spare: Path, path: Path, expected: bytes) -> None:
    if not _exchange(spare, path):
        if read(path) != expected:
            raise Moved(path)
        spare.replace(path)
        return
    if _is(spare, expected):
        return
    _exchange(spare, path)
    raise Moved(path)


def _take_away(path: Path, expected: bytes | None, spare: Path) -> None:
    if expected is None:
        return
    try:
        path.rename(spare)
    except FileNotFoundError:
        raise Moved(path) from None
    if _is(spare, expected):
        spare.unlink()
        return
    with suppress(FileExistsError):  # newer than what was taken away
        os.link(spare, path)
    spare.unlink()
    raise Moved(path)


def _is(path: Path, expected: bytes) -> bool:
    """Whether this is the content of a file that nobody is about to write."""
    with path.open("rb") as file:
        return not _being_written(file.fileno()) and file.read() == expected


def _being_written(descriptor: int) -> bool:
    """Whether anybody has the file open for writing: only then Linux refuses a lease for reading it."""
    if sys.platform != "linux":
        return False
    try:
        # Who opens the file in this moment waits, and we get a signal: not the usual one, which would end us.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # this file system, or the owner of this file, knows no leases
    return False


def _exchange(one: Path, other: Path) -> bool:
    """Let two files change places; false where the system can't."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL):
        return False
    if number == errno.ENOENT:
        raise Moved(other)
    raise OSError(number, os.strerror(number), str(other))
