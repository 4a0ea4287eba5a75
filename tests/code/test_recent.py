"""What is remembered of the contents looked at last, and that no more is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from intarsia.code.conflicts.semantic import conflicts
from intarsia.code.outline import outline, recall
from intarsia.code.recent import MOST, Recent, forget


@pytest.fixture
def asked() -> Iterator[list[tuple[bytes, str]]]:
    forget()
    yield []
    forget()


def _length(asked: list[tuple[bytes, str]]) -> Recent[int]:
    def length(data: bytes, how: str) -> int | None:
        asked.append((data, how))
        return len(data) or None

    return Recent(length)


def test_what_was_found_out_is_not_found_out_again(asked: list[tuple[bytes, str]]) -> None:
    length = _length(asked)
    assert [length(b"abc", "x"), length(b"abc", "x"), length(b"abc", "y"), length(b"ab" + b"c", "x")] == [3] * 4
    assert asked == [(b"abc", "x"), (b"abc", "y")]
    forget()
    assert length(b"abc", "x") == 3
    assert len(asked) == 3


def test_nothing_is_remembered_of_what_could_not_be_found_out(asked: list[tuple[bytes, str]]) -> None:
    length = _length(asked)
    assert [length(b"", "x"), length(b"", "x")] == [None, None]
    assert len(asked) == 2


def test_what_was_looked_at_longest_ago_is_forgotten(asked: list[tuple[bytes, str]]) -> None:
    length = _length(asked)
    parts = [bytes([n]) * (MOST // 5) for n in range(5)]  # together with what each one counts beside, a bit too much
    for part in [*parts[:4], parts[0], parts[4]]:
        length(part, "")
    asked.clear()
    for part in (parts[0], parts[4], parts[1]):
        length(part, "")
    assert [data for data, _ in asked] == [parts[1]]


def test_a_small_content_counts_as_well(asked: list[tuple[bytes, str]]) -> None:
    length = _length(asked)
    for number in range(MOST // 500):
        length(b"%d" % number, "")
    asked.clear()
    length(b"0", "")
    assert asked


def test_a_recalled_outline_is_as_a_new_one(asked: list[tuple[bytes, str]]) -> None:
    data = b"import a\n\n\ndef f(x):\n    return a.b(x)\n"
    assert recall(data, "python") == outline(data, "python")
    assert recall(data, "python") is recall(data[:-1] + b"\n", "python")
    assert recall(data, "javascript") != recall(data, "python")
    assert recall(data, None) == outline(data, None)


def test_conflicts_are_the_same_when_all_is_known(asked: list[tuple[bytes, str]]) -> None:
    base = {"a.py": b"def f(x):\n    return x\n", "b.py": b"import a\n"}
    ours = {**base, "a.py": b"def f(x, y):\n    return x + y\n"}
    theirs = {**base, "b.py": b"from a import f\n\n\ndef g():\n    return f(1)\n"}
    first = conflicts(base, ours, theirs)
    assert [each.kind for each in first if each.provable] == ["arity"]
    assert conflicts(base, ours, theirs) == first
    assert [each.changer for each in conflicts(base, theirs, ours)] == ["theirs"] * len(first)
