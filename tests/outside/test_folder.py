"""Files are written whole, inside the directory, and only when they change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from intarsia.errors import Conflict
from intarsia.outside.folder import TEMPORARY, Folder


def test_only_what_changes_is_written(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path / "new" / "place")
    assert folder.write("a.md", b"one")
    before = (folder.path / "a.md").stat()
    assert not folder.write("a.md", b"one")
    assert (folder.path / "a.md").stat().st_ino == before.st_ino
    assert folder.write("a.md", b"two")
    assert (folder.path / "a.md").stat().st_ino != before.st_ino  # another file took its name
    assert folder.names() == ["a.md"]
    folder.close()


def test_a_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = Folder.open(tmp_path / "mirror")
    for name in ("a.md", TEMPORARY):
        (folder.path / name).symlink_to(victim)
    assert folder.read("a.md") is None
    assert folder.write("a.md", b"mine")
    assert victim.read_text() == "mine"
    assert not (folder.path / "a.md").is_symlink()
    folder.close()


def test_a_link_in_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = Folder.open(tmp_path / "mirror")
    (folder.path / "issues").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Conflict, match="symbolic link"):
        folder.inside("issues")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    folder.close()


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    assert folder.read("pipe") is None  # and does not wait for a writer
    assert folder.read("directory") is None
    folder.close()


def test_one_holds_the_lock(tmp_path: Path) -> None:
    first, second = Folder.open(tmp_path), Folder.open(tmp_path)
    first.lock()
    with pytest.raises(Conflict, match="Another process"):
        second.lock()
    first.close()
    second.lock()
    second.close()


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path / "mirror", dry_run=True)
    folder.lock()
    assert folder.inside("issues").write("a.md", b"one")
    assert folder.names() == []
    folder.settle()
    folder.close()
    assert list(tmp_path.iterdir()) == []
