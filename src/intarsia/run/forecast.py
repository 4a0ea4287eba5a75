"""Which resources an issue will probably change, and why that is thought: to order work, never to forbid it.

What somebody declared (the issue's claims) counts for more than what is guessed: from paths in its text, from names in
its text that the code has, and from what the issues that it needs have changed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Protocol

from msgspec import Struct

from intarsia.errors import InputError
from intarsia.kernel import issues
from intarsia.kernel.issues import Issue
from intarsia.kernel.modes import Mode
from intarsia.kernel.resources import parse
from intarsia.run.changed import Changed
from intarsia.workspace.git import Git

MOST = 40  # of one kind of guess: what names more says little
_WORD = re.compile(r"[\w@+~#%-][\w./@+~#%:-]*")
_LINE = re.compile(r"(:\d+)+$")


class Predicted(Struct, frozen=True):
    uri: str
    mode: Mode
    why: str
    declared: bool = False

    @property
    def key(self) -> str:
        return parse(self.uri).key

    @property
    def claim(self) -> str:
        """As it would be declared."""
        return self.uri if self.mode == "exclusive" else f"{self.mode} {self.uri}"


class Forecast(Struct, frozen=True):
    issue: str
    expected: list[Predicted]

    @property
    def declared(self) -> dict[str, Mode]:
        return {one.uri: one.mode for one in self.expected if one.declared}


class Names(Protocol):
    """Finds the symbols that a text names; `version` is another when it knows another version of the code."""

    version: int

    def look(self, tip: str) -> None: ...
    def named(self, text: str) -> Iterable[Predicted]: ...


class Nameless:
    version = 0

    def look(self, tip: str) -> None: ...
    def named(self, text: str) -> Iterable[Predicted]:
        return ()


class Forecaster:
    """For one branch. Asks git, at most once in `every` seconds, and remembers what it said until the branch moves."""

    def __init__(self, git: Git, branch: str, names: Names | None = None, *, every: float = 0) -> None:
        self._git = git
        self._branch = f"refs/heads/{branch}"
        self._names = names or Nameless()
        self._every = every
        self._looked = -every
        self._tip = ""
        self._files: Files = Files([])
        self._known: dict[tuple[str, float, int], Forecast] = {}
        self._changed: dict[str, list[str]] = {}
        self._changes = Changed(git)

    def look(self) -> None:
        """Learn of the branch's newest commit; the forecasts until the next look are of that."""
        if time.monotonic() - self._looked < self._every:
            return
        self._looked = time.monotonic()
        tip = self._git.try_line("rev-parse", "--verify", "--quiet", f"{self._branch}^{{commit}}") or ""
        if tip != self._tip:
            self._tip = tip
            self._known, self._changed = {}, {}
            self._changes.renew()
            listing = self._git.run("ls-tree", "-r", "-z", "--name-only", tip) if tip else ""
            self._files = Files(listing.split("\0")[:-1])
            self._names.look(tip)

    def of(self, issue: Issue) -> Forecast:
        known = (issue.id, issue.updated, self._names.version)
        if known not in self._known:
            self._known[known] = Forecast(issue.id, self._predict(issue))
        return self._known[known]

    def _predict(self, issue: Issue) -> list[Predicted]:
        text = "\n".join([issue.title, issue.body, issue.acceptance])
        named = [
            *self._names.named(text),
            *(Predicted(uri, "exclusive", "named in its text") for uri in self._paths(text)),
        ]
        inside = {one.uri.partition("#")[0] for one in named if "#" in one.uri}
        guesses = [one for one in named if one.uri not in inside]  # a symbol says more than its file
        for needed in issue.needs:
            guesses += [Predicted(uri, "exclusive", f"changed by {needed}") for uri in self._by(needed)]
        found: dict[str, Predicted] = {one.uri: one for one in [*guesses[::-1], *declared(issue)]}
        return sorted(found.values(), key=lambda one: (not one.declared, one.uri))

    def _paths(self, text: str) -> list[str]:
        return list(dict.fromkeys(uri for word in _WORD.findall(text) if (uri := self._files.resource(word))))[:MOST]

    def _by(self, issue: str) -> list[str]:
        """What the commits of that issue on the branch changed."""
        if issue not in self._changed and self._tip:
            self._changed[issue] = self._changes.by(issue, self._tip)[:MOST]
        return self._changed.get(issue, [])


class Files:
    """The files of a commit, as people name them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = set(paths)
        self._folders = {str(folder) for path in self._paths for folder in PurePosixPath(path).parents} - {"."}
        self._ends: dict[str, list[str]] = {}
        for path in self._paths:
            self._ends.setdefault(PurePosixPath(path).name, []).append(path)

    def resource(self, word: str) -> str:
        """The file, folder or symbol that a word of a text names; a file to be made counts where its folder is."""
        word, mark, symbol = _LINE.sub("", word.rstrip(".:")).removeprefix("./").partition("#")
        path = self._path(word.rstrip("/"), is_folder=word.endswith("/"))
        return _resource(path + mark + symbol.rstrip(".")) or _resource(path) if path else ""

    def _path(self, name: str, *, is_folder: bool) -> str:
        if name in self._paths or (name in self._folders and (is_folder or "/" in name)):
            return name
        ends = [path for path in self._ends.get(PurePosixPath(name).name, []) if path.endswith(f"/{name}")]
        if len(ends) == 1 and "." in name:
            return ends[0]
        pure = PurePosixPath(name)
        is_new = not ends and pure.suffix and len(pure.parts) > 1 and str(pure.parent) in self._folders
        return name if is_new else ""


def declared(issue: Issue) -> list[Predicted]:
    """The claims that can be understood; others came from elsewhere, where they may mean something."""
    found = []
    for claim in issue.claims:
        try:
            name, mode = issues.parse_claim(claim)
        except InputError:
            continue
        found.append(Predicted(name, mode, "declared", declared=True))
    return found


def _resource(path: str) -> str:
    try:
        return parse(f"code:{path}").name
    except InputError:
        return ""
