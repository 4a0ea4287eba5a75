"""Scopes of Python code: what a name can mean where it stands, when there is only one thing it can mean."""

from __future__ import annotations

from msgspec import Struct


class Binding(Struct, gc=False, frozen=True):
    """One way in which a scope gives a name a meaning; `certain` when it always runs with its scope.

    `kind` is `from` (module, level, name), `import` (module), `def`, `class`, `self` or `other`.
    """

    kind: str
    certain: bool = False
    module: str = ""
    level: int = 0
    name: str = ""


class Scope:
    def __init__(self, kind: str, name: str = "", outer: Scope | None = None) -> None:
        self.kind = kind
        self.name = name
        self.outer = outer
        self.names: dict[str, list[Binding]] = {}
        self.elsewhere: set[str] = set()

    def bind(self, name: str, binding: Binding) -> None:
        self.names.setdefault(name, []).append(binding)


def lookup(name: str, scope: Scope) -> Binding | None:
    """The one thing that a name can mean in a scope, or None. Of functions and classes only those of the module."""
    inner: Scope | None = None
    here: Scope | None = scope
    while here is not None:
        seen = here.kind != "class" or inner is None or inner.kind == "comprehension"
        if seen and name in here.names:
            found = _sole(here.names[name])
            return found if found is None or here.outer is None or found.kind not in ("def", "class") else None
        inner, here = here, here.outer
    return None


def _sole(bindings: list[Binding]) -> Binding | None:
    first = bindings[0]
    if first.kind == "import" and all(other.kind == "import" and other.module == first.module for other in bindings):
        return next((each for each in bindings if each.certain), None)
    return first if len(bindings) == 1 and first.certain else None


def qualified(scope: Scope) -> str:
    names: list[str] = []
    here: Scope | None = scope
    while here is not None:
        if here.name:
            names.append(here.name)
        here = here.outer
    return ".".join(reversed(names))
