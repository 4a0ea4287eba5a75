"""What gitattributes may say about files: not what exactly, but whether git has to be asked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from intarsia.workspace.git import Git
from intarsia.workspace.objects import REGULAR, Objects

_DRIVER = re.compile(rb"\bmerge\b")
_CONVERSION = re.compile(rb"\b(text|eol|crlf|ident|filter|working-tree-encoding|binary)\b|\[attr\]")


class Attributes:
    """Of one repository; those of its settings are looked up once."""

    def __init__(self, git: Git, git_dir: Path, objects: Objects) -> None:
        self._git = git
        self._git_dir = git_dir
        self._objects = objects

    def name_merge(self, commit: str, path: str) -> bool:
        """Whether a driver of the user's may be named for merging this file."""
        return self._say(_DRIVER, commit, path)

    def convert(self, commit: str, path: str) -> bool:
        """Whether the file may look different in a checkout and in a commit."""
        return self._line_ends_change or self._say(_CONVERSION, commit, path)

    def _say(self, what: re.Pattern[bytes], commit: str, path: str) -> bool:
        folders = path.split("/")[:-1]
        names = ["/".join([*folders[:depth], ".gitattributes"]) for depth in range(len(folders) + 1)]
        return any(what.search(text) for text in (*self._elsewhere, *self._texts(commit, names)))

    def _texts(self, commit: str, names: Iterable[str]) -> Iterator[bytes]:
        """git reads those on disk, and where there are none, those that it keeps."""
        for name in names:
            entry = self._objects.at(commit, name)
            if entry is not None and entry.mode in REGULAR:
                yield self._objects.read(entry.oid) or b""
            with suppress(OSError):
                yield (self._git.directory / name).read_bytes()

    @cached_property
    def _elsewhere(self) -> list[bytes]:
        """Attributes that are not committed."""
        named = self._git.try_line("config", "--type=path", "core.attributesFile")
        usual = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git/attributes"
        places = (self._git_dir / "info/attributes", Path(named) if named else usual, Path("/etc/gitattributes"))
        return [place.read_bytes() for place in places if place.is_file()]

    @cached_property
    def _line_ends_change(self) -> bool:
        return self._git.try_line("config", "core.autocrlf") not in (None, "false", "no", "off", "0")
