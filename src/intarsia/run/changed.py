"""What the commits of an issue changed on a branch: symbols where that is told quickly, else files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from intarsia.errors import InputError
from intarsia.kernel.resources import parse
from intarsia.workspace.git import Git
from intarsia.workspace.landing import ISSUE_TRAILER
from intarsia.workspace.objects import REGULAR, Objects

COMMITS = 20
PATIENCE = 0.2  # seconds to read code in; what takes longer is told by files


class File(NamedTuple):
    """A regular file that a commit changed, and its content before and after, by the ids of these."""

    path: str
    before: str
    after: str


class Changed:
    def __init__(self, git: Git, patience: float = PATIENCE) -> None:
        self._git = git
        self._patience = self._left = patience
        self._known: dict[File, list[str]] = {}  # contents never change

    def renew(self) -> None:
        """Have patience again."""
        self._left = self._patience

    def by(self, issue: str, tip: str) -> list[str]:
        """Resources that the commits of that issue changed, the newest first, each once."""
        files = list(dict.fromkeys(self._files(issue, tip)))
        with closing(Objects(self._git)) as objects:
            found = [uri for file in files for uri in self._resources(file, objects)]
        return list(dict.fromkeys(found))

    def _resources(self, file: File, objects: Objects) -> list[str]:
        if file not in self._known:
            if self._left <= 0 or not (file.before and file.after):
                return _file(file.path)
            started = time.monotonic()
            self._known[file] = _symbols(file, objects) or _file(file.path)
            self._left -= time.monotonic() - started
        return self._known[file]

    def _files(self, issue: str, tip: str) -> Iterator[File]:
        trailer = f"%x01%(trailers:key={ISSUE_TRAILER},valueonly,separator=%x20)"
        log = self._git.run(
            "log", f"--max-count={COMMITS}", "-z", "--raw", "--no-abbrev", "--no-renames", f"--format={trailer}",
            "--fixed-strings", f"--grep={ISSUE_TRAILER}: {issue}", tip,
        )  # fmt: skip
        for commit in log.split("\x01")[1:]:
            said, _, changes = commit.partition("\0")
            if issue in said.split():
                fields = iter(changes.lstrip("\n").split("\0"))
                yield from (_changed(facts, next(fields)) for facts in fields if facts)


def _changed(facts: str, path: str) -> File:
    """From `:MODE MODE OID OID STATUS`; without contents where there is none, or no regular file."""
    modes, oids = facts[1:].split(" ")[:2], facts.split(" ")[2:4]
    before, after = (oid if int(mode, 8) in REGULAR else "" for mode, oid in zip(modes, oids, strict=True))
    return File(path, before, after)


def _symbols(file: File, objects: Objects) -> list[str]:
    """The symbols that were changed or added and can be locked; nothing where the file says as much."""
    from intarsia.code.languages import language_of  # and with it the grammars
    from intarsia.code.leases import lock_name, uri
    from intarsia.code.outline import outline
    from intarsia.code.touched import touched

    before, after = objects.read(file.before), objects.read(file.after)
    language = language_of(file.path, after or b"")
    if before is None or after is None or language is None:
        return []
    keys = [
        change.into if change.kind == "renamed" else change.key
        for change in touched(outline(before, language), after)
        if change.kind not in ("removed", "imports", "lead")
    ]
    return [uri(file.path, key) for key in keys] if all(map(lock_name, keys)) else []


def _file(path: str) -> list[str]:
    try:
        return [parse(f"code:{path}").name]
    except InputError:
        return []
