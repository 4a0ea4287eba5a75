"""Small disks that tests fill up or make read-only; only root may mount them."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

BLOCK = b"\0" * 4096


class Disk:
    """A tmpfs of its own; `unmount` at the end."""

    def __init__(self, path: Path, size: str) -> None:
        self.path = path
        path.mkdir(parents=True)
        if not _may("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)):
            pytest.skip("mounting a tmpfs is not permitted here (needs root)")

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast.ignored"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("ab", buffering=0) as ballast, suppress(OSError):
            while ballast.write(BLOCK):
                pass

    def free(self) -> None:
        self._ballast.unlink()

    def remount(self, mode: str) -> None:
        """`ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.path)], check=True, capture_output=True)

    def unmount(self) -> None:
        _may("umount", "--lazy", str(self.path))


def _may(*command: str) -> bool:
    with suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False
