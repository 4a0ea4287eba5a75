"""Conflicts seeded into real code: one side uses a function that the other changes; and changes that break nothing."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from intarsia.code.conflicts.python_calls import Signature
from intarsia.code.conflicts.python_names import Module, module_of

Files = dict[str, bytes]


class Target(Struct, frozen=True):
    """A function at the top of a module, its lines (from 0), and whether others use it."""

    path: str
    name: str
    signature: Signature
    first: int
    body: int
    last: int


class Seed(Struct, frozen=True):
    """`kind` is what should be found, or "" where nothing may be provable."""

    name: str
    kind: str
    target: Target
    base: Files
    ours: Files
    theirs: Files
    combined: Files


def seeds(files: Files, count: int, seed: int = 1) -> Iterator[Seed]:
    """As many of each sort, over functions chosen at random."""
    chosen = targets(files)
    random.Random(seed).shuffle(chosen)
    for target in chosen[:count]:
        for make in SORTS:
            made = make(files, target)
            if made is not None:
                yield made


def targets(files: Files) -> list[Target]:
    """Functions that can be imported, with a signature of fixed length, and that nobody else mentions."""
    words = {path: set(re.findall(rb"\w+", data)) for path, data in files.items()}
    found = []
    for path, data in files.items():
        module = module_of(data) if path.endswith(".py") and "/" in path and b"\r" not in data else None
        if module is None or module.dynamic or path.endswith("__init__.py"):
            continue
        for target in _functions(path, data, module):
            word = target.name.encode()
            if not any(word in others for other, others in words.items() if other != path):
                found.append(target)
    return found


def _functions(path: str, data: bytes, module: Module) -> Iterator[Target]:
    for node in ast.parse(data).body:
        if not isinstance(node, ast.FunctionDef) or node.name not in module.functions or node.name.startswith("__"):
            continue
        signature = module.functions[node.name]
        one_line = node.body[0].lineno == node.lineno
        if not signature.open and module.only(node.name) and not one_line:
            yield Target(path, node.name, signature, node.lineno - 1, node.body[0].lineno - 1, node.end_lineno or 0)


def _seed(name: str, kind: str, files: Files, target: Target, new: bytes, more: Files | None = None) -> Seed:
    """The other side makes `new` of the target's module; one side adds a module that uses it."""
    user = {_beside(target, "uses"): _use(target)}
    changed = {target.path: new, **(more or {})}
    old = {target.path: files[target.path]}
    return Seed(name, kind, target, old, {**old, **user}, changed, {**changed, **user})


def _beside(target: Target, name: str) -> str:
    return f"{target.path.removesuffix('.py')}_{name}.py"


def _use(target: Target) -> bytes:
    module = target.path.removesuffix(".py").replace("/", ".")
    return (
        f"from {module} import {target.name}\n\n\ndef use():\n    return {target.name}({_arguments(target)})\n".encode()
    )


def _arguments(target: Target) -> str:
    signature = target.signature
    places = [*signature.positional_only, *signature.positional]
    given = ["1" for name in places if name in signature.required]
    return ", ".join([*given, *(f"{name}=1" for name in signature.keyword_only if name in signature.required)])


def _lines(files: Files, target: Target) -> list[bytes]:
    return files[target.path].splitlines(keepends=True)


def _without(files: Files, target: Target) -> bytes:
    lines = _lines(files, target)
    return b"".join([*lines[: target.first], *lines[target.last :]])


def _definition(files: Files, target: Target) -> bytes:
    return b"".join(_lines(files, target)[target.first : target.last])


def _header(files: Files, target: Target, change: Callable[[ast.arguments], None]) -> bytes:
    """The module with other parameters for the function."""
    lines = _lines(files, target)
    node = ast.parse(_definition(files, target)).body[0]
    assert isinstance(node, ast.FunctionDef)
    change(node.args)
    node.body = []
    header = ast.unparse(node).encode() + b"\n"
    return b"".join([*lines[: target.first], header, *lines[target.body :], b"\n"])


def renamed(files: Files, target: Target) -> Seed:
    new = re.sub(rb"\b%s\b" % target.name.encode(), target.name.encode() + b"_renamed", files[target.path])
    return _seed("renamed", "import", files, target, new)


def removed(files: Files, target: Target) -> Seed:
    return _seed("removed", "import", files, target, _without(files, target))


def moved(files: Files, target: Target) -> Seed:
    there = {_beside(target, "moved"): _definition(files, target)}
    return _seed("moved", "import", files, target, _without(files, target), there)


def needs_more(files: Files, target: Target) -> Seed:
    def change(args: ast.arguments) -> None:
        (args.posonlyargs or args.args).insert(0, ast.arg("added"))

    return _seed("needs one more", "arity", files, target, _header(files, target, change))


def takes_less(files: Files, target: Target) -> Seed | None:
    if not target.signature.required & {*target.signature.positional}:
        return None

    def change(args: ast.arguments) -> None:
        args.args, args.defaults = [], []

    return _seed("takes less", "arity", files, target, _header(files, target, change))


def added_twice(files: Files, target: Target) -> Seed:
    """Both sides add a helper of one name to one module, at different places."""
    old = files[target.path]
    lines = _lines(files, target)
    helper = b"def added_by_both(%s):\n    return %s\n\n\n"
    first = b"".join([*lines[: target.first], helper % (b"a", b"a"), *lines[target.first :]])
    last, both = (text + b"\n\n" + helper % (b"b", b"b") for text in (old, first))
    path = target.path
    return Seed("added twice", "duplicate", target, {path: old}, {path: first}, {path: last}, {path: both})


def optional_more(files: Files, target: Target) -> Seed:
    def change(args: ast.arguments) -> None:
        args.kwonlyargs.append(ast.arg("added"))
        args.kw_defaults.append(ast.Constant(None))

    return _seed("takes one more", "", files, target, _header(files, target, change))


def open_ended(files: Files, target: Target) -> Seed:
    def change(args: ast.arguments) -> None:
        args.posonlyargs, args.args, args.kwonlyargs, args.defaults, args.kw_defaults = [], [], [], [], []
        args.vararg, args.kwarg = ast.arg("args"), ast.arg("named")

    return _seed("takes anything", "", files, target, _header(files, target, change))


def handed_on(files: Files, target: Target) -> Seed:
    there = _beside(target, "moved")
    name = there.rpartition("/")[2].removesuffix(".py").encode()
    new = _without(files, target) + b"\nfrom .%s import %s\n" % (name, target.name.encode())
    return _seed("moved, handed on", "", files, target, new, {there: _definition(files, target)})


def aliased(files: Files, target: Target) -> Seed:
    name = target.name.encode()
    new = re.sub(rb"\b%s\b" % name, name + b"_renamed", files[target.path]) + b"\n%s = %s_renamed\n" % (name, name)
    return _seed("renamed, with an alias", "", files, target, new)


def lazy(files: Files, target: Target) -> Seed:
    new = _without(files, target) + b"\n\ndef __getattr__(name):\n    return lambda *args: None\n"
    return _seed("made when asked for", "", files, target, new)


def wrapped(files: Files, target: Target) -> Seed:
    new = needs_more(files, target).theirs[target.path]
    name = target.name.encode()
    return _seed("wrapped", "", files, target, new + b"\n%s = __import__('functools').partial(%s, 1)\n" % (name, name))


def decorated(files: Files, target: Target) -> Seed:
    lines = needs_more(files, target).theirs[target.path].splitlines(keepends=True)
    new = b"".join([*lines[: target.first], b"@click_like\n", *lines[target.first :]])
    return _seed("decorated", "", files, target, new)


def guarded(files: Files, target: Target) -> Seed:
    """What is imported may be missing, and is called only where it isn't."""
    made = removed(files, target)
    (user,) = made.ours.keys() - made.base.keys()
    module = target.path.removesuffix(".py").replace("/", ".")
    text = f"try:\n    from {module} import {target.name}\nexcept ImportError:\n    {target.name} = None\n".encode()
    ours, combined = {**made.ours, user: text}, {**made.combined, user: text}
    return Seed("guarded", "", target, made.base, ours, made.theirs, combined)


SORTS: list[Callable[[Files, Target], Seed | None]] = [
    renamed,
    removed,
    moved,
    needs_more,
    takes_less,
    added_twice,
    optional_more,
    open_ended,
    handed_on,
    aliased,
    lazy,
    wrapped,
    decorated,
    guarded,
]
