"""The index of names: how fast it is built, refreshed and asked, over the standard library."""

from __future__ import annotations

import hashlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.support import Result, seconds
from intarsia.code.names.index import Index, Refreshed
from tests.support import corpus

BUILDS = 3
EDITS = 100
NAMES = 200


def measure() -> Iterator[Result]:
    files = {path: data for path, data in corpus.standard_library().items() if path.endswith(".py")}
    with tempfile.TemporaryDirectory(prefix="intarsia-bench-") as folder:
        yield from _measured(files, Path(folder))


def _measured(files: dict[str, bytes], folder: Path) -> Iterator[Result]:
    ids = {path: hashlib.sha1(data).hexdigest() for path, data in files.items()}
    built = [_build(files, ids, folder / str(number)) for number in range(BUILDS)]
    index, folder, done = built[-1][1], folder / str(BUILDS - 1), built[-1][2]
    best = done.lines / min(spent for spent, _, _ in built)
    yield Result(f"built, stored; lines per second of one core, best of {BUILDS}", best, "/s", 150_000, at_least=True)
    yield Result("its file, per million lines", _size(folder) / done.lines, "MB", None)
    yield Result("opened again, nothing to read", _ms(lambda: Index(folder).refresh(ids.items(), files.get)), "ms", 50)
    yield Result("refreshed, nothing changed", _ms(lambda: index.refresh(ids.items(), files.get)), "ms", 10)
    chance = random.Random(1)
    edits = sorted(_edit(index, files, ids, chance.choice(list(files)), number) for number in range(EDITS))
    yield Result("refreshed after an edit of one file, median", statistics.median(edits) * 1000, "ms", 10)
    yield Result("refreshed after an edit of one file, 95 of 100", edits[int(EDITS * 0.95)] * 1000, "ms", None)
    yield from _asked(index, chance)


def _build(files: dict[str, bytes], ids: dict[str, str], folder: Path) -> tuple[float, Index, Refreshed]:
    """Seconds of processor time, which others on the machine can only add to."""
    index = Index(folder)
    index.refresh(list(ids.items())[:20], files.get)  # with the grammar loaded
    started = time.process_time()
    done = index.refresh(ids.items(), files.get)
    return time.process_time() - started, index, done


def _edit(index: Index, files: dict[str, bytes], ids: dict[str, str], path: str, number: int) -> float:
    """Seconds until a changed file counts, with a list of all files, as a supervisor has it."""
    data = files[path] + b"\n\ndef added_%d():\n    return 1\n" % number
    ids[path] = hashlib.sha1(data).hexdigest()
    took = seconds(lambda: index.refresh(ids.items(), lambda asked: data if asked == path else files.get(asked)))
    assert index.definitions(f"added_{number}")
    return took


def _asked(index: Index, chance: random.Random) -> Iterator[Result]:
    places = [place for path in chance.sample(sorted(index.paths), NAMES) for place in index.units(path)[:3]]
    names = sorted({place.key.rpartition(".")[2] for place in places if place.key.isidentifier()})
    asked = sorted(seconds(lambda name=name: index.mentions(name)) for name in names)  # type: ignore[misc]
    yield Result("who mentions a name, median", statistics.median(asked) * 1000, "ms", 10)
    yield Result("who mentions a name, 95 of 100", asked[int(len(asked) * 0.95)] * 1000, "ms", None)
    depending = sorted(seconds(lambda p=p: index.depends(p.path, p.key)) for p in places)  # type: ignore[misc]
    yield Result("what a unit depends on, median", statistics.median(depending) * 1000, "ms", None)


def _ms(action: Callable[[], object]) -> float:
    return statistics.median(seconds(action) for _ in range(5)) * 1000


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir())
