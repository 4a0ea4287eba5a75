"""What two sides' changes to Python code break only together, and provably: imports and calls of what has changed."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from intarsia.code.conflicts.python_calls import mismatch
from intarsia.code.conflicts.python_names import Call, Import, Module
from intarsia.code.conflicts.python_tree import Places, Tree
from intarsia.code.conflicts.source import SemanticConflict, Versions


def broken(versions: Versions, standard: Collection[str] = sys.stdlib_module_names) -> Iterator[SemanticConflict]:
    """`standard` are the top-level modules that are never looked for in the repository."""
    files = [path for path in versions.paths if _is_python(path)]
    if not files:
        return
    places = Places(versions.paths, standard, versions.rest)
    trees = {side: Tree(places, versions.of(side), versions.rest) for side in ("ours", "theirs", "combined")}
    for user, changer in (("ours", "theirs"), ("theirs", "ours")):
        pair = _Pair(user, changer, trees, versions)
        for path in files:
            yield from pair.check(path)


def _is_python(path: str) -> bool:
    return path.endswith((".py", ".pyw"))


class _Pair:
    """One side's uses against the other's changes."""

    def __init__(self, user: str, changer: str, trees: dict[str, Tree], versions: Versions) -> None:
        self._names = user, changer
        self._user, self._changer, self._both = trees[user], trees[changer], trees["combined"]
        self._versions = versions

    def check(self, path: str) -> Iterator[SemanticConflict]:
        if self._changer.read(path) in (self._user.read(path), self._both.read(path)):
            return  # what is used here, the changer's version uses as well
        both, user = self._both.module(path), self._user.module(path)
        if both is None or user is None:
            return
        changer = self._changer.module(path)
        if changer is None and self._changer.exists(path):
            return
        yield from self._imports(path, both, user, changer)
        yield from self._calls(path, both, user, changer)

    def _imports(self, path: str, both: Module, user: Module, changer: Module | None) -> Iterator[SemanticConflict]:
        mine = {_target(each) for each in user.imports}
        known = {_target(each) for each in changer.imports} if changer else set()
        for wanted in both.imports:
            target = _target(wanted)
            if wanted.certain and target in mine and target not in known and wanted.name != "*":
                yield from self._import(path, wanted)

    def _import(self, path: str, wanted: Import) -> Iterator[SemanticConflict]:
        source = self._user.find(path, wanted.module, wanted.level)
        if source is None or (wanted.name and not self._user.binds(source, wanted.name)):
            return
        place = self._both.find(path, wanted.module, wanted.level)
        if place is None:
            gone = self._both.lacks(path, wanted.module, wanted.level)
            name, symbol, reason = "", _dotted(wanted), f"{source} is gone"
        else:
            gone = bool(wanted.name) and not any(t.binds(place, wanted.name) for t in (self._both, self._changer))
            name, symbol, reason = wanted.name, wanted.name, f"{place} no longer binds {wanted.name}"
        if gone and not self._still_used(place or source, name):
            reason += self._elsewhere(wanted.name, place or source)
            yield self._says("import", wanted.line, path, place or source, symbol, reason)

    def _still_used(self, source: str, name: str) -> bool:
        """Whether the changer's own version imports it yet: then it exists in a way that can't be seen, or that side
        is broken by itself."""
        word = name or _stem(source)
        for path in {*self._versions.paths, *self._versions.rest.mentioning(word)}:
            module = self._changer.module(path) if _is_python(path) else None
            for each in module.imports if module else ():
                named = each.name == name if name else _stem(source) in (each.name, each.module.rpartition(".")[2])
                if named and (not name or self._changer.find(path, each.module, each.level) == source):
                    return True
        return False

    def _elsewhere(self, name: str, before: str) -> str:
        """Where the changer defines that name now."""
        for path in self._versions.paths:
            module = self._changer.module(path) if _is_python(path) and path != before else None
            if module and (binding := module.only(name)) and binding.kind in ("def", "class"):
                return f"; {path} defines it now"
        return ""

    def _calls(self, path: str, both: Module, user: Module, changer: Module | None) -> Iterator[SemanticConflict]:
        mine = {each.shape for each in user.calls}
        known = {each.shape for each in changer.calls} if changer else set()
        for call in both.calls:
            if call.shape in mine and call.shape not in known:
                yield from self._call(path, call)

    def _call(self, path: str, call: Call) -> Iterator[SemanticConflict]:
        now = self._both.callee(path, call)
        reason = mismatch(now.signature, call.positional, call.keywords) if now else ""
        if now is None or not reason:
            return
        before = self._user.callee(path, call)
        if before is None or mismatch(before.signature, call.positional, call.keywords):
            return
        if call.owner and self._may_be_overridden(call.owner):
            return
        yield self._says(
            "arity", call.line, path, now.path, now.key, f"{call.inside or path} calls {now.key}, but {reason}"
        )

    def _may_be_overridden(self, name: str) -> bool:
        """Whether a class derives from one of that name, so that `self` may be another class's."""
        for path in {*self._versions.paths, *self._versions.rest.mentioning(name)}:
            data = self._both.read(path)
            if data is None or name.encode() not in data:
                continue
            module = self._both.module(path) if _is_python(path) else None
            if module is None or name in module.bases or _renamed(module, name):
                return True
        return False

    def _says(self, kind: str, line: int, path: str, source: str, symbol: str, message: str) -> SemanticConflict:
        user, changer = self._names
        return SemanticConflict(kind, True, symbol, path, line, source, user, changer, message)


def _renamed(module: Module, name: str) -> bool:
    return any(b.name == name and n != name for n, bindings in module.bound.items() for b in bindings)


def _target(wanted: Import) -> tuple[str, int, str]:
    return wanted.module, wanted.level, wanted.name


def _dotted(wanted: Import) -> str:
    return "." * wanted.level + wanted.module


def _stem(path: str) -> str:
    place = PurePosixPath(path)
    return place.parent.name if place.name == "__init__.py" else place.stem
