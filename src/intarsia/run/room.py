"""Trouble that comes from the disk under us: nobody's work is to blame for it, so the run stops and can go on later."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from intarsia.errors import NotReady

LEAST = 1024 * 1024
_WORDS = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)]


def require(*places: Path, problem: str = "") -> None:
    """Raise NotReady when a disk is full, or when that is what `problem` says."""
    for place in places:
        free = shutil.disk_usage(place).free
        if free < LEAST:
            raise NotReady(f"The disk is full: {free // 1024} KiB are free for {place}.", hint=_HINT)
    if any(words in problem for words in _WORDS):
        raise NotReady(f"The disk can't be written: {problem}", hint=_HINT)


_HINT = "Make room there, then go on with: intarsia run"
