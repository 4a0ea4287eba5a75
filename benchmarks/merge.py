"""Merging two edits of different symbols of real files, against `git merge-file`; and how long it takes."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.registry import specs
from benchmarks.support import Result, seconds
from intarsia.code.conflicts.semantic import conflicts
from intarsia.code.merging.files import REGULAR, File, merge_files
from intarsia.code.merging.lines import diff3
from intarsia.code.merging.merge import Merged, merge
from intarsia.code.merging.valid import check
from intarsia.code.outline import outline
from intarsia.code.recent import forget
from tests.code.pairs import Pair as HotSpot
from tests.code.pairs import pairs as hot_spots
from tests.support.edits import Pair, pairs, same_meaning

COUNT, FILES, SEED = 1250, 250, 4
LARGE = Path(argparse.__file__)  # a class-heavy module of 100 KB


@dataclass
class Row:
    """What became of all pairs of one sort; times in milliseconds."""

    name: str
    pairs: int = 0
    git: Counter[str] = field(default_factory=Counter)
    ours: Counter[str] = field(default_factory=Counter)
    caught: int = 0  # of git's wrong results, by the validators
    refused: int = 0  # of git's right ones
    git_ms: list[float] = field(default_factory=list)
    ours_ms: list[float] = field(default_factory=list)

    def line(self) -> str:
        cells = [self.pairs, self.git["conflict"], self.git["wrong"], self.caught, self.refused]
        cells += [self.ours["conflict"], self.ours["wrong"], self.ours["exact"]]
        times = [statistics.median(times) for times in (self.git_ms, self.ours_ms)]
        return f"  {self.name:<9}" + "".join(f"{cell:>10}" for cell in cells) + "".join(f"{ms:>10.1f}" for ms in times)


HEADER = f"  {'':<9}" + "".join(
    f"{name:>10}"
    for name in (
        "pairs",
        "git c.",
        "git wrong",
        "…caught",
        "refused",
        "our c.",
        "our wrong",
        "exact",
        "git ms",
        "our ms",
    )
)


def measure() -> Iterator[Result]:
    print("  c. = conflicts; caught and refused = of git's wrong and right results, by our validators")
    print(HEADER)
    rows = []
    for name, adjacent in (("random", False), ("adjacent", True)):
        rows.append(_row(name, adjacent))
        print(rows[-1].line(), flush=True)
    yield Result("pairs of disjoint edits", sum(row.pairs for row in rows), "", 2000, at_least=True)
    yield Result("of these, conflicts", sum(row.ours["conflict"] for row in rows), "", 0)
    yield Result("of these, wrong", sum(row.ours["wrong"] for row in rows), "", 0)
    yield Result(
        "git's wrong results that the validators let pass", sum(r.git["wrong"] - r.caught for r in rows), "", 0
    )
    yield from _hot_spots()
    yield from _speed()
    yield from _landings()


def _hot_spots() -> Iterator[Result]:
    """Two changes inside of one symbol, with their right merge, or none: see benchmarks/inside.py."""
    found = Counter(_hot_spot(pair) for pair in hot_spots())
    yield Result("pairs of edits at one spot of a symbol", found.total(), "", 500, at_least=True)
    yield Result("of these, merged right", found["right"], "")
    yield Result("of these, rightly handed back", found["refused"], "")
    yield Result("of these, handed back needlessly", found["missed"], "")
    yield Result("of these, wrong", found["wrong"], "", 0)


def _hot_spot(pair: HotSpot) -> str:
    merged = merge(pair.base, pair.ours, pair.theirs, pair.language)
    if isinstance(merged, Merged):
        return "right" if merged.data == pair.merged else "wrong"
    return "refused" if pair.merged is None else "missed"


def _row(name: str, adjacent: bool) -> Row:
    row = Row(name)
    with tempfile.TemporaryDirectory(prefix="intarsia-bench-") as folder:
        for pair in pairs(COUNT, adjacent=adjacent, seed=SEED, files=FILES):
            row.pairs += 1
            _by_git(row, pair, Path(folder))
            _by_us(row, pair)
    return row


def _by_git(row: Row, pair: Pair, folder: Path) -> None:
    for name in ("ours", "base", "theirs"):
        (folder / name).write_bytes(getattr(pair, name))
    argv = ["git", "merge-file", "-p", "-q", "ours", "base", "theirs"]
    results = []
    row.git_ms.append(
        seconds(lambda: results.append(subprocess.run(argv, cwd=folder, capture_output=True, check=False))) * 1000
    )
    if results[0].returncode:
        row.git["conflict"] += 1
        return
    found = _judged(results[0].stdout, pair)
    row.git[found] += 1
    refused = bool(check(pair.base, pair.ours, pair.theirs, results[0].stdout, "python"))
    row.caught += refused and found == "wrong"
    row.refused += refused and found != "wrong"


def _by_us(row: Row, pair: Pair) -> None:
    results = []
    forget()
    row.ours_ms.append(seconds(lambda: results.append(merge(pair.base, pair.ours, pair.theirs, "python"))) * 1000)
    found = _judged(results[0].data, pair) if isinstance(results[0], Merged) else "conflict"
    row.ours[found] += 1
    if found in ("conflict", "wrong"):
        print(f"    {found}: {pair.name} {pair.kinds}")


def _judged(data: bytes, pair: Pair) -> str:
    if data == pair.both:
        return "exact"
    try:
        return "alike" if same_meaning(data, pair.both) else "wrong"
    except SyntaxError:
        return "wrong"


def _speed() -> Iterator[Result]:
    base = LARGE.read_bytes()
    ours = base.replace(b"import os as _os", b"import os as _os\nimport abc").replace(
        b"    def format_help(self):", b"    def ours(self):\n        return 1\n\n    def format_help(self):", 1
    )
    theirs = base.replace(b"import re as _re", b"import re as _re\nimport abc").replace(
        b"    def error(self, message):", b"    def error(self, message, code=2):", 1
    )
    assert isinstance(merge(base, ours, theirs, "python"), Merged)
    known = [outline(text, "python") for text in (base, ours)]
    cold = _spent(lambda: merge(base, ours, theirs, "python"))
    warm = _spent(lambda: merge(known[0], known[1], theirs, "python"))
    yield Result(f"merge of {len(base) // 1000} KB, nothing known", cold[0], "ms", 60)
    yield Result("  of that, processor time", cold[1], "ms")
    yield Result("the same, with the outlines of base and ours", warm[0], "ms")
    yield Result("line merge of the same", _spent(lambda: diff3(base, ours, theirs))[0], "ms", 30)


def _landings() -> Iterator[Result]:
    """Of the registry benchmark, without git: each operation began seven landings ago."""
    spec = specs()[0]
    tips = [{path: text.encode() for path, text in spec.files().items()}]
    spent: list[tuple[float, float]] = []
    forget()
    for number, operation in enumerate(spec.operations):
        base, ours = tips[max(0, number - 7)], tips[-1]
        theirs = dict(base)
        for path, old, new in spec.edits(operation):
            theirs[path] = theirs[path].replace(old.encode(), new.encode(), 1)
        changed = [path for path in base if not base[path] == ours[path] == theirs[path]]
        before, mine, other = ({path: files[path] for path in changed} for files in (base, ours, theirs))
        started = time.process_time()
        both = {path: _landed(path, before[path], mine[path], other[path]) for path in changed}
        merged = time.process_time()
        assert not conflicts(before, mine, other, combined=both)
        spent.append((merged - started, time.process_time() - merged))
        tips.append({**ours, **both})
    merging, checking = (1000 * statistics.mean(times) for times in zip(*spent, strict=True))
    yield Result("one landing in a function of all: merge, processor time", merging, "ms")
    yield Result("the same: what is broken only together", checking, "ms")
    yield Result("the same: both", merging + checking, "ms", 12)


def _landed(path: str, *sides: bytes) -> bytes:
    base, ours, theirs = (File(REGULAR, data) for data in sides)
    merged = merge_files(path, base, ours, theirs)
    assert isinstance(merged, File)
    return merged.data


def _spent(action: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the clock and of processor time, the medians of 21 calls, each as if it were the first."""
    clock, processor = [], []
    for _ in range(21):
        forget()
        began, started = time.perf_counter(), time.process_time()
        action()
        processor.append(time.process_time() - started)
        clock.append(time.perf_counter() - began)
    return statistics.median(clock) * 1000, statistics.median(processor) * 1000
