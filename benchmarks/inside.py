"""How much of what two features add at one hot spot is merged inside of a unit, by kind and language; none wrongly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.support import Result, seconds
from intarsia.code.inside.merger import merge_inside
from tests.code.pairs import Pair, pairs

Counts = dict[str, dict[str, list[int]]]  # kind, language: merged, mergeable


def measure() -> Iterator[Result]:
    found: Counts = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    every = list(pairs())
    wrong = 0
    spent: list[float] = []
    for pair in every:
        merged: list[bytes | None] = []
        spent.append(seconds(lambda pair=pair, merged=merged: merged.append(_merge(pair))))  # type: ignore[misc]
        wrong += merged[0] is not None and merged[0] != pair.merged
        if pair.merged is not None:
            found[pair.kind][pair.language][0] += merged[0] == pair.merged
            found[pair.kind][pair.language][1] += 1
    _print(found)
    yield Result("pairs", len(every), "", 500, at_least=True)
    yield Result("of them to be handed back", sum(pair.merged is None for pair in every), "")
    yield Result("merged wrongly", wrong, "", 0)
    counts = [count for row in found.values() for count in row.values()]
    yield Result(
        "merged of what is independent", 100 * sum(m for m, _ in counts) / sum(n for _, n in counts), "%", 95, True
    )
    yield Result("one merge, median", 1000 * sorted(spent)[len(spent) // 2], "ms")


def _merge(pair: Pair) -> bytes | None:
    return merge_inside(pair.base, pair.ours, pair.theirs, pair.language)


def _print(found: Counts) -> None:
    """Merged of mergeable, a row for each kind."""
    languages = sorted({language for row in found.values() for language in row})
    print(f"  {'':<22}" + "".join(f"{language[:9]:>10}" for language in languages))
    for kind, row in sorted(found.items()):
        cells = (f"{row[language][0]}/{row[language][1]}" if language in row else "" for language in languages)
        print(f"  {kind:<22}" + "".join(f"{cell:>10}" for cell in cells))
