"""Which file and which definition a name of Python code leads to, in one version of a repository.

Only what is certain: a module that could be another one, of the standard library, of an extension or of a second
source root, is no answer.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import PurePosixPath

from msgspec import Struct

from intarsia.code.conflicts.python_calls import Signature
from intarsia.code.conflicts.python_names import ANY, Call, Module, module_of
from intarsia.code.conflicts.python_scopes import Binding
from intarsia.code.conflicts.source import Rest
from intarsia.code.recent import Recent

_BUILT = (".so", ".pyd", ".pyx", ".pyc")
_ROOTS = ("src", "lib", "python")
_LONGEST_CHAIN = 8


class Definition(Struct, frozen=True):
    path: str
    key: str
    signature: Signature


class Places:
    """All paths that any version of the repository has, by the name of the module that each could be.

    `rest` are the base's; they are asked for when the first name is looked up.
    """

    def __init__(
        self, paths: Collection[str], standard: Collection[str] = sys.stdlib_module_names, rest: Rest | None = None
    ) -> None:
        self.standard = standard
        self._paths = paths
        self._rest = rest
        self._modules: dict[bytes, Module | None] = {}

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._all:
            folder, _, file = path.rpartition("/")
            name = folder.rpartition("/")[2] if file == "__init__.py" else file.partition(".")[0]
            found.setdefault(name, []).append(path)
        return found

    @cached_property
    def folders(self) -> set[str]:
        found = {"."} if self._all else set()
        for path in self._all:
            folder = path.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return found

    @cached_property
    def _all(self) -> Collection[str]:
        return {*self._paths, *(self._rest.paths if self._rest is not None else ())}

    def module(self, data: bytes) -> Module | None:
        """What a content binds and uses, read once; None when it is no Python."""
        if data not in self._modules:
            self._modules[data] = _recent(data)
        return self._modules[data]


_recent = Recent(module_of)


class Tree:
    """One version: the base's files where `changed` does not say otherwise."""

    def __init__(self, places: Places, changed: Mapping[str, bytes | None], rest: Rest) -> None:
        self._places = places
        self._changed = changed
        self._rest = rest

    def exists(self, path: str) -> bool:
        return self._changed[path] is not None if path in self._changed else path in self._rest.paths

    def read(self, path: str) -> bytes | None:
        return self._changed[path] if path in self._changed else self._rest.read(path)

    def module(self, path: str) -> Module | None:
        data = self.read(path)
        return None if data is None else self._places.module(data)

    def find(self, importer: str, module: str, level: int = 0) -> str | None:
        """The file of a module that `importer` names, when there is only one it can be."""
        found = self._found(importer, module, level)
        if found is None or len(found) != 1:
            return None
        return found[0] if level or _is_usual(found[0], module, importer) else None

    def lacks(self, importer: str, module: str, level: int = 0) -> bool:
        """Whether there is certainly no such module, nor a folder that could be it."""
        if self._found(importer, module, level) != []:
            return False
        tail = module.replace(".", "/")
        return not any(folder == tail or folder.endswith("/" + tail) for folder in self._places.folders)

    def _found(self, importer: str, module: str, level: int) -> list[str] | None:
        """The files that could be the module; None when others could be, of which nothing is known."""
        top, _, _ = module.partition(".")
        if not level and (not top or top.startswith("__") or top in self._places.standard):
            return None
        folder = ""
        if level:
            parents = [str(parent) for parent in PurePosixPath(importer).parents]
            if level > len(parents):
                return None
            folder = "" if parents[level - 1] == "." else parents[level - 1] + "/"
        tail = module.replace(".", "/")
        last = tail.rpartition("/")[2] or PurePosixPath(folder).name
        files = (f"{tail}.py", f"{tail}/__init__.py") if tail else ("__init__.py",)
        known = [path for path in self._places.by_name.get(last, ()) if self.exists(path)]
        if level:
            return [path for path in known if path in [folder + file for file in files]]
        fitting = [path for path in known for file in files if self._at_a_root(path, file)]
        built = any(path.endswith(_BUILT) for path in known)
        return None if built else fitting

    def _at_a_root(self, path: str, tail: str) -> bool:
        """Whether the path is `tail` inside a folder that is no package."""
        root = path.removesuffix(tail)
        if path != root + tail or (root and not root.endswith("/")):
            return False
        return not self.exists(root + "__init__.py")

    def binds(self, path: str, name: str) -> bool:
        """Whether `from MODULE import NAME` may find the name."""
        module = self.module(path)
        if module is None or module.dynamic or name in module.bound or name.startswith("__"):
            return True
        return self._may_be_inside(path, name)

    def _may_be_inside(self, path: str, name: str) -> bool:
        """Whether a package may have a submodule of that name."""
        if not path.endswith("__init__.py"):
            return False
        folder = str(PurePosixPath(path).parent)
        siblings = (each for each in self._places.by_name.get(name, ()) if self.exists(each))
        inside = name if folder == "." else f"{folder}/{name}"
        return inside in self._places.folders or any(str(PurePosixPath(each).parent) == folder for each in siblings)

    def callee(self, path: str, call: Call) -> Definition | None:
        """What a call in that file calls; None when it is not certain."""
        binding = call.callee
        if binding.kind == "self":
            return self._method(path, call)
        if binding.kind in ("def", "class"):
            return self._called(path, binding.name)
        module = self.module(path)
        if module is None or module.dynamic or (call.attributes and call.attributes[-1] in module.assigned):
            return None
        if binding.kind == "from":
            return self._from(path, binding, call.attributes)
        named = ".".join([binding.module, *call.attributes[:-1]])
        found = self._whole(path, named)
        return self._called(found, call.attributes[-1]) if found else None

    def _from(self, importer: str, binding: Binding, attributes: tuple[str, ...]) -> Definition | None:
        found = self.find(importer, binding.module, binding.level)
        if found is None:
            return None
        if not attributes:
            return self._called(found, binding.name)
        inner = self._submodule(found, binding.name)
        return self._called(inner, attributes[0]) if inner else None

    def _whole(self, importer: str, module: str) -> str | None:
        """The file of `a.b.c`, when on the way no package says that `b` is something else."""
        found = self.find(importer, module)
        package, dot, last = module.rpartition(".")
        while found and dot:
            outer = self.find(importer, package)
            if outer is not None and self._says(outer, last):
                return None
            package, dot, last = package.rpartition(".")
        return found

    def _submodule(self, package: str, name: str) -> str | None:
        if not package.endswith("__init__.py") or self._says(package, name):
            return None
        folder = package.removesuffix("__init__.py")
        files = [file for file in (f"{folder}{name}.py", f"{folder}{name}/__init__.py") if self.exists(file)]
        return files[0] if len(files) == 1 else None

    def _says(self, path: str, name: str) -> bool:
        module = self.module(path)
        return module is None or module.dynamic or name in module.bound

    def _called(self, path: str, name: str, depth: int = 0) -> Definition | None:
        """The function, or the class whose `__init__`, a module means by a name; followed through what it imports."""
        module = self.module(path)
        if module is None or module.dynamic or depth > _LONGEST_CHAIN:
            return None
        binding = module.only(name)
        if binding is None or (path.endswith("__init__.py") and self._may_be_inside(path, name)):
            return None
        if binding.kind == "def" and name in module.functions:
            return Definition(path, name, module.functions[name])
        if binding.kind == "class" and name in module.classes:
            return _constructed(path, name, module)
        if binding.kind == "from":
            found = self.find(path, binding.module, binding.level)
            return self._called(found, binding.name, depth + 1) if found else None
        return None

    def _method(self, path: str, call: Call) -> Definition | None:
        module = self.module(path)
        if module is None or module.dynamic or module.only(call.owner) is None or call.owner not in module.classes:
            return None
        owner, name = module.classes[call.owner], call.attributes[-1]
        assigned = name in module.assigned or ANY in module.assigned
        if not owner.plain or assigned or name not in owner.methods:
            return None
        return Definition(path, f"{call.owner}.{name}", owner.methods[name].bound())


def _is_usual(path: str, module: str, importer: str) -> bool:
    """Whether Python may well search for the module of that path where it lies."""
    root = path[: path.rindex(module.replace(".", "/"))]
    return importer.startswith(root) or root.split("/")[-2] in _ROOTS


def _constructed(path: str, name: str, module: Module) -> Definition | None:
    kind = module.classes[name]
    if not kind.plain:
        return None
    if "__init__" in kind.methods:
        return Definition(path, name, kind.methods["__init__"].bound())
    return None if "__init__" in kind.bound else Definition(path, name, Signature())
