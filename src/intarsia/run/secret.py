"""A session's secret, in a file that only this user can read, so that a supervisor that takes over has it too."""

from __future__ import annotations

import os
from pathlib import Path

from intarsia.errors import NotReady


def write(folder: Path, secret: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / "secret.new"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret)
    unfinished.replace(folder / "secret")


def read(folder: Path) -> str:
    try:
        return (folder / "secret").read_text(encoding="ascii")
    except OSError as error:
        raise NotReady(f"The secret of this session can't be read: {error}") from error


def exists(folder: Path) -> bool:
    path = folder / "secret"
    return path.is_file() and path.stat().st_size > 0  # a full disk leaves an empty one
