"""One file of each language, with many of its constructs, and the keys of its units as a person checked them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from intarsia.code.languages import language_of
from intarsia.code.outline import Outline, outline

FOLDER = Path(__file__).parent / "fixtures"
KEYS = "keys.txt"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.name != KEYS)


def data(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def language(name: str) -> str:
    found = language_of(name, data(name))
    assert found is not None
    return found


@cache
def outlined(name: str) -> Outline:
    return outline(data(name), language(name))


@cache
def expected_keys() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (FOLDER / KEYS).read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            keys = found[line.removeprefix("== ")] = []
        else:
            keys.append(line)
    return found


def keys(of: Outline) -> list[str]:
    return [unit.key for unit in of.walk()]
