"""Pairs of edits to different symbols of a Python file, and what both of them together make.

Built from the line numbers of `ast`, so that what is expected owes nothing to what is tested.
"""

from __future__ import annotations

import ast
import random
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

KINDS = ("body", "signature", "insert", "delete", "move", "import", "name")
LEAST, MOST = 2_000, 110_000
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Splice = tuple[int, int, list[str]]  # lines [start:end] of the base become these


@dataclass(frozen=True)
class Pair:
    """`both` is `base` with the two edits applied, ours first where they insert at one place."""

    name: str
    kinds: tuple[str, str]
    base: bytes
    ours: bytes
    theirs: bytes
    both: bytes


@dataclass(frozen=True)
class Symbol:
    """Its lines [start:end], with decorators and the comments that touch it; `lead` counts the blank lines above."""

    node: Definition
    parent: Definition | None
    start: int
    end: int
    lead: int
    indent: str


@dataclass(frozen=True)
class Edit:
    kind: str
    symbol: Symbol
    splices: list[Splice]


class Source:
    """A file whose symbols stand on lines of their own."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines(keepends=True)
        self.tree = ast.parse(text)
        self.symbols = list(self._symbols(self.tree.body, None))
        self.imports = [n for n in self.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]

    def apply(self, splices: list[Splice]) -> bytes:
        lines = list(self.lines)
        # From the last to the first; of two insertions at one place the later one goes in first, and so comes after.
        for _, (start, end, new) in sorted(enumerate(splices), key=lambda s: (s[1][0], s[1][1], s[0]), reverse=True):
            lines[start:end] = new
        return "".join(lines).encode()

    def _symbols(self, body: list[ast.stmt], parent: Definition | None) -> Iterator[Symbol]:
        for node in body:
            if not isinstance(node, Definition):
                continue
            symbol = self._symbol(node, parent)
            if symbol is not None:
                yield symbol
                if isinstance(node, ast.ClassDef):
                    yield from self._symbols(node.body, node)

    def _symbol(self, node: Definition, parent: Definition | None) -> Symbol | None:
        start = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
        end = node.end_lineno or node.lineno
        indent = " " * node.col_offset
        while start and self.lines[start - 1].startswith(f"{indent}#"):
            start -= 1
        lead = 0
        while start - lead and not self.lines[start - lead - 1].strip():
            lead += 1
        starts_the_line = not self.lines[node.lineno - 1][: node.col_offset].strip()
        following = next((line for line in self.lines[end:] if line.strip()), "")
        # A comment further in than the symbol belongs to its end, though not for `ast`.
        closed = not following.startswith((f"{indent} ", f"{indent}\t"))
        return Symbol(node, parent, start, end, lead, indent) if lead and starts_the_line and closed else None


def pairs(count: int, *, adjacent: bool, seed: int, files: int = 40, most: int = MOST) -> Iterator[Pair]:
    """`count` pairs over some files of the standard library, none of more than `most` bytes; `adjacent` edits are of
    neighbours or at one place."""
    rng = random.Random(seed)
    sources = list(islice(library(rng, most=most), files))
    made = 0
    while made < count:
        name, source = rng.choice(sources)
        pair = _pair(name, source, rng, adjacent)
        if pair is not None:
            made += 1
            yield pair


def library(rng: random.Random, *, least: int = LEAST, most: int = MOST) -> Iterator[tuple[str, Source]]:
    """Modules of the standard library in random order: text in UTF-8 that defines at least four things."""
    folder = Path(sysconfig.get_path("stdlib"))
    paths = [p for p in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")]) if "site-packages" not in p.parts]
    rng.shuffle(paths)
    for path in paths:
        if least < path.stat().st_size < most:
            source = _source(path)
            if source is not None:
                yield path.name, source


def same_meaning(one: bytes, other: bytes) -> bool:
    """Whether two modules differ at most in the order of what they and their classes define, and in layout."""
    return _meaning(one) == _meaning(other)


def _meaning(data: bytes) -> object:
    return _sorted(ast.parse(data))


def _sorted(node: ast.Module | ast.ClassDef) -> list[str]:
    said = []
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            outside = ast.ClassDef(child.name, child.bases, child.keywords, [], child.decorator_list)
            said.append(ast.dump(outside) + repr(_sorted(child)))
        else:
            said.append(ast.dump(child))
    return sorted(said)


def _source(path: Path) -> Source | None:
    try:
        text = path.read_bytes().decode()
        if not text.endswith("\n") or {"\f", "\r", "\v", "\x1c", "\x85", "\u2028"} & set(text):
            return None
        source = Source(text)
    except (SyntaxError, ValueError):
        return None
    return source if len(source.symbols) >= 4 else None


def _pair(name: str, source: Source, rng: random.Random, adjacent: bool) -> Pair | None:
    at = rng.randrange(len(source.symbols))
    other = (at + rng.choice((-1, 1))) % len(source.symbols) if adjacent else rng.randrange(len(source.symbols))
    ours = _edit(source, source.symbols[at], rng, "ours")
    theirs = _edit(source, source.symbols[other], rng, "theirs")
    if ours is None or theirs is None or not _are_disjoint(ours, theirs):
        return None
    versions = [source.apply(s) for s in (ours.splices, theirs.splices, [*ours.splices, *theirs.splices])]
    base = source.apply([])
    if base in versions or not _parses(versions[2]):
        return None
    return Pair(name, (ours.kind, theirs.kind), base, *versions)


def _are_disjoint(one: Edit, other: Edit) -> bool:
    touching, anywhere = ("body", "signature", "delete", "move"), ("import", "name")
    a, b = one.symbol, other.symbol
    overlap = a.start < b.end and b.start < a.end and not {one.kind, other.kind} & set(anywhere)
    if overlap and (a is not b or (one.kind in touching and other.kind in touching)):
        return False
    if one.kind == other.kind == "name":
        return one.splices[0][0] != other.splices[0][0]
    depths: dict[int, set[str]] = {}
    for edit in (one, other):
        for start, end, _ in edit.splices:
            if start == end:
                depths.setdefault(start, set()).add(edit.symbol.indent)
    if any(len(found) > 1 for found in depths.values()):
        return (
            False  # at the end of a class as its last member, and behind it: the lines alone don't say which is first
        )
    spans = [[(s, e) for s, e, _ in edit.splices] for edit in (one, other)]
    inside = (
        s < at < e or (s < e and s < end and at < e and at < end)
        for first, second in (spans, spans[::-1])
        for s, e in first
        for at, end in second
    )
    return not any(inside)


def _edit(source: Source, symbol: Symbol, rng: random.Random, side: str) -> Edit | None:
    kind = rng.choice(KINDS)
    mark = f"{side}_{rng.randrange(10**6)}"
    makers = {
        "body": _body,
        "signature": _signature,
        "insert": _insert,
        "delete": _delete,
        "move": _move,
        "import": _import,
        "name": _name,
    }
    splices = makers[kind](source, symbol, rng, mark)
    return Edit(kind, symbol, splices) if splices else None


def _body(source: Source, symbol: Symbol, rng: random.Random, mark: str) -> list[Splice]:
    """A new line before one of its statements, or one of its statements on one line replaced."""
    node = symbol.node
    if isinstance(node, ast.ClassDef):
        return []
    statement = rng.choice(node.body)
    at = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))]) - 1
    text = source.lines[at]
    if at < node.lineno or text[: statement.col_offset].strip() or _is_docstring(statement):
        return []
    new = f"{' ' * statement.col_offset}{mark} = {len(mark)}\n"
    is_simple = isinstance(statement, ast.Assign | ast.Return | ast.Expr) and statement.end_lineno == at + 1
    return [(at, at + 1, [new])] if is_simple and rng.random() < 0.5 else [(at, at, [new])]


def _signature(source: Source, symbol: Symbol, rng: random.Random, mark: str) -> list[Splice]:
    """One more parameter, of functions whose parameters end on the line of their name."""
    at = symbol.node.lineno - 1
    line = source.lines[at]
    if isinstance(symbol.node, ast.ClassDef) or symbol.node.args.kwarg or not line.rstrip().endswith("):"):
        return []
    end = line.rindex(")")
    comma = ", " if line[:end].rstrip()[-1] != "(" else ""
    return [(at, at + 1, [f"{line[:end]}{comma}{mark}=None{line[end:]}"])]


def _insert(source: Source, symbol: Symbol, rng: random.Random, mark: str) -> list[Splice]:
    """A new function after the symbol, as far from it as the symbol is from what is above."""
    parameter = "self" if symbol.indent else ""
    head, line = f"{symbol.indent}def {mark}({parameter}):\n", f"{symbol.indent}    return {len(mark)}\n"
    return [(symbol.end, symbol.end, ["\n"] * symbol.lead + [head, line])]


def _delete(source: Source, symbol: Symbol, rng: random.Random, mark: str) -> list[Splice]:
    if symbol.parent is not None and len(symbol.parent.body) < 3:
        return []
    return [(symbol.start - symbol.lead, symbol.end, [])]


def _move(source: Source, symbol: Symbol, rng: random.Random, mark: str) -> list[Splice]:
    """To behind another symbol of the same class or of the module."""
    siblings = [s for s in source.symbols if s.parent is symbol.parent and s is not symbol]
    if not siblings or isinstance(symbol.node, ast.ClassDef) or symbol.node.decorator_list:
        return []
    to = rng.choice(siblings).end
    start = symbol.start - symbol.lead
    return [(start, symbol.end, []), (to, to, source.lines[start : symbol.end])] if to != start else []


def _import(source: Source, symbol: Symbol, rng: random.Random, mark: str) -> list[Splice]:
    """A new import after an import that stands on lines of its own."""
    if not source.imports:
        return []
    after = rng.choice(source.imports).end_lineno or 0
    return [(after, after, [f"import {mark}\n"])]


def _name(source: Source, symbol: Symbol, rng: random.Random, mark: str) -> list[Splice]:
    """One more name, at the end of a `from … import …` on one line."""
    lines = [n.lineno - 1 for n in source.imports if isinstance(n, ast.ImportFrom) and n.end_lineno == n.lineno]
    at = rng.choice(lines or [-1])
    if at < 0 or not source.lines[at].rstrip()[-1].isidentifier() or "*" in source.lines[at] or "#" in source.lines[at]:
        return []
    return [(at, at + 1, [f"{source.lines[at].rstrip()}, {mark}\n"])]


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _parses(data: bytes) -> bool:
    try:
        ast.parse(data)
    except SyntaxError:
        return False
    return True
