"""A directory whose files are written whole or not at all, and which is never left through a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

from intarsia.errors import Conflict

TEMPORARY = ".intarsia-tmp"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Folder:
    """Everything goes through the directory's descriptor; on a dry run nothing is made, and `write` only compares."""

    def __init__(self, path: Path, descriptor: int | None, dry_run: bool) -> None:
        self.path = path
        self._descriptor = descriptor
        self._dry_run = dry_run

    @classmethod
    def open(cls, path: Path, *, dry_run: bool = False) -> Folder:
        """The directory at `path`, made if need be; a symbolic link that the caller names himself is followed."""
        real = Path(os.path.realpath(path))
        if not dry_run:
            real.mkdir(parents=True, exist_ok=True)
        return cls(real, _opened(lambda: os.open(real, _DIRECTORY), real, dry_run), dry_run)

    def inside(self, name: str) -> Folder:
        """The directory `name` in it, made if need be; raises Conflict for a link or a file of that name."""
        path, within = self.path / name, self._descriptor
        if within is None:
            return Folder(path, None, self._dry_run)
        if not self._dry_run:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=within)
        opened = _opened(lambda: os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=within), path, self._dry_run)
        return Folder(path, opened, self._dry_run)

    def lock(self) -> None:
        """Keep other processes from locking it until this one ends or closes it; raises Conflict if one does so."""
        if self._descriptor is None:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"Another process writes to {self.path}.", hint="Let that one do it.") from error

    def names(self) -> list[str]:
        if self._descriptor is None:
            return []
        with os.scandir(self._descriptor) as entries:
            return sorted(entry.name for entry in entries if entry.name != TEMPORARY)

    def read(self, name: str) -> bytes | None:
        """What the file holds; None where there is no plain file of that name."""
        if self._descriptor is None:
            return None
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                return None
            raise
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return None
            with os.fdopen(file, "rb", closefd=False) as content:
                return content.read()
        finally:
            os.close(file)

    def write(self, name: str, data: bytes) -> bool:
        """Replace the file, unless it holds just that; returns whether it was replaced."""
        if self.read(name) == data:
            return False
        if self._descriptor is None or self._dry_run:
            return True
        self.remove(TEMPORARY)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(TEMPORARY, flags, 0o644, dir_fd=self._descriptor), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(TEMPORARY, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError:
            self.remove(TEMPORARY)
            raise
        return True

    def remove(self, name: str) -> None:
        if self._descriptor is None or self._dry_run:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def settle(self) -> None:
        """Return when what was renamed and removed here is on the disk."""
        if self._descriptor is not None and not self._dry_run:
            os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _opened(opening: Callable[[], int], path: Path, dry_run: bool) -> int | None:
    try:
        return opening()
    except OSError as error:
        if error.errno == errno.ENOENT and dry_run:
            return None
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Conflict(
                f"{path} is no directory, or a symbolic link.", hint="Remove it, or name another."
            ) from error
        raise
