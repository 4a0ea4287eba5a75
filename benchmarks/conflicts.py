"""Semantic conflicts: none in correct code, all that are seeded into real code; and how long looking takes."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

from benchmarks.support import Result, seconds
from intarsia.code.conflicts.python_conflicts import broken
from intarsia.code.conflicts.python_tree import Places, Tree
from intarsia.code.conflicts.semantic import conflicts
from intarsia.code.conflicts.source import SemanticConflict, Versions
from intarsia.code.recent import forget
from tests.support import breakage, corpus

PACKAGES = ("mypy", "pip", "setuptools", "pygments", "_pytest", "rich", "hypothesis", "psycopg")
SEEDED_INTO = ("mypy", "pip", "rich")
SEEDS = 60


def measure() -> Iterator[Result]:
    sources = {"the standard library": corpus.standard_library(), **{name: corpus.package(name) for name in PACKAGES}}
    for name, files in sources.items():
        yield from _correct(name, files)
    yield from _seeded({name: sources[name] for name in SEEDED_INTO})


def _correct(name: str, files: dict[str, bytes]) -> Iterator[Result]:
    """Everything is new on one side and everything that it uses on the other; and the code is right."""
    imports, calls = corpus.imports_are_new(files), corpus.calls_are_new(files)
    said = [*broken(imports, standard=frozenset()), *broken(calls, standard=frozenset())]
    for each in said:
        print(f"    {each.path}:{each.line} {each.message}")
    checked = _checked(imports, calls)
    yield Result(f"{name}: imports of it that were checked", checked["imports"], "", None)
    yield Result(f"{name}: calls of it that were checked", checked["calls"], "", None)
    yield Result(f"{name}: blocked, of correct code", len(said), "", 0)


def _checked(imports: Versions, calls: Versions) -> Counter[str]:
    """How many imports and calls lead to something that could have been wrong."""
    places = Places(imports.paths, frozenset())
    tree = Tree(places, imports.combined, calls.rest)
    found: Counter[str] = Counter()
    for path in imports.paths:
        module = tree.module(path) if path.endswith(".py") else None
        if module is not None:
            found["imports"] += sum(tree.find(path, each.module, each.level) is not None for each in module.imports)
            callees = (tree.callee(path, call) for call in module.calls)
            found["calls"] += sum(callee is not None and not callee.signature.open for callee in callees)
    return found


def _seeded(sources: dict[str, dict[str, bytes]]) -> Iterator[Result]:
    made: Counter[str] = Counter()
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    took = []
    for files in sources.values():
        for seed in breakage.seeds(files, SEEDS):
            said: list[SemanticConflict] = []
            forget()
            took.append(seconds(lambda seed=seed, said=said: said.extend(_conflicts(seed))))  # type: ignore[misc]
            kinds = [each.kind for each in said if each.provable]
            sort = f"{seed.name} → {seed.kind or 'nothing'}"
            made[sort] += 1
            right[sort] += kinds == ([seed.kind] if seed.kind else [])
            found["all"] += len(kinds)
            found["true"] += kinds.count(seed.kind)
    for sort, number in made.items():
        yield Result(f"{sort}: right, of {number}", 100 * right[sort] / number, "%", 100, at_least=True)
    yield Result("precision of what is called provable", 100 * found["true"] / found["all"], "%", 100, at_least=True)
    wanted = sum(number for sort, number in made.items() if not sort.endswith("nothing"))
    yield Result("recall of what was seeded", 100 * found["true"] / wanted, "%", 100, at_least=True)
    yield Result("two sides of one or two files, median", statistics.median(took) * 1000, "ms", None)


def _conflicts(seed: breakage.Seed) -> list[SemanticConflict]:
    return conflicts(seed.base, seed.ours, seed.theirs, None, seed.combined if seed.kind == "duplicate" else None)
