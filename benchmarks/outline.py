"""How quickly source text becomes symbols, and an edit the symbols that it touches."""

from __future__ import annotations

import random
import statistics
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.support import Result
from intarsia.code.leases import needs
from intarsia.code.outline import outline
from intarsia.code.touched import touched

SIZE = 200_000
EDITS = 200
TIMES = 3


def measure() -> Iterator[Result]:
    library = Path(sysconfig.get_path("stdlib"))
    texts = [path.read_bytes() for path in library.rglob("*.py") if "site-packages" not in path.parts]
    texts = [text for text in texts if len(text) <= 1_000_000]
    size = sum(map(len, texts))
    outlines, spent = [outline(text, "python") for text in texts], list[tuple[float, float]]()
    for _ in range(TIMES):
        started, cpu = time.perf_counter(), time.process_time()
        for text in texts:
            outline(text, "python")
        spent.append((time.process_time() - cpu, time.perf_counter() - started))
    best, wall = min(spent)
    wrong = sum(b"".join(made.tiles()) != made.data for made in outlines)
    units = sum(1 for made in outlines for _ in made.walk())
    name = f"outline, {len(texts)} files of the standard library, best of {TIMES}"
    yield Result(name, size / best / 1e6, "MB/s", 8, at_least=True)
    yield Result("  by the clock, beside whatever else runs", size / wall / 1e6, "MB/s")
    yield Result("  files that do not come out as they were", wrong, "", 0)
    yield Result("  units", units, "")
    yield from _decisions(_large(texts))


def _large(texts: list[bytes]) -> bytes:
    """Of real files the one nearest to the size."""
    return min(texts, key=lambda text: abs(len(text) - SIZE))


def _decisions(data: bytes) -> Iterator[Result]:
    """What is touched, and so what must be leased, for edits of one line each, whole and broken."""
    base = outline(data, "python")
    lines = data.split(b"\n")
    source = random.Random(4)
    for name, edit in (("one line more", b"        pass"), ("a broken one", b"        (")):
        spent = []
        for _ in range(EDITS):
            at = source.randrange(len(lines))
            new = b"\n".join([*lines[:at], edit, *lines[at:]])
            started = time.perf_counter()
            needs("a.py", touched(base, new))
            spent.append(time.perf_counter() - started)
        name = f"decision in a file of {len(data) // 1000} KB: {name}"
        yield Result(f"{name}, median", statistics.median(spent) * 1e3, "ms", 5)
        yield Result(f"{name}, 95 of 100", sorted(spent)[int(EDITS * 0.95)] * 1e3, "ms")
