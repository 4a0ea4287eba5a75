"""Run every benchmark, or those named: `python -m benchmarks issues cli`."""

from __future__ import annotations

import sys

from benchmarks import cli, conflicts, idle, index, inside, issues, locks, merge, outline, registry, shared
from benchmarks.support import Result

SUITES = {
    "cli": cli.measure,
    "issues": issues.measure,
    "idle": idle.measure,
    "locks": locks.measure,
    "outline": outline.measure,
    "merge": merge.measure,
    "inside": inside.measure,
    "index": index.measure,
    "conflicts": conflicts.measure,
    "registry": registry.measure,
    "shared": shared.measure,
}


def main() -> int:
    chosen = sys.argv[1:] or list(SUITES)
    unknown = [name for name in chosen if name not in SUITES]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(SUITES)}", file=sys.stderr)
        return 2
    missed = 0
    for name in chosen:
        print(f"\n{name}")
        for result in SUITES[name]():
            print(_line(result), flush=True)
            missed += not result.met
    print(f"\n{missed} targets missed." if missed else "\nAll targets met.")
    return 1 if missed else 0


def _line(result: Result) -> str:
    bound = "≥" if result.at_least else "≤"
    target = f"target {bound} {result.target:g} {result.unit}" if result.target is not None else ""
    mark = "" if result.target is None else ("ok" if result.met else "MISSED")
    return f"  {result.name:<58} {result.value:>9.2f} {result.unit:<5} {target:<20} {mark}"


if __name__ == "__main__":
    sys.exit(main())
