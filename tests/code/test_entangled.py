"""Of one symbol's edits that lines merge, which are handed back all the same."""

from __future__ import annotations

import pytest

from intarsia.code.inside.entangled import entangled
from intarsia.code.merging.lines import diff3
from tests.code.pairs import Pair, pairs

BY_LINES = [pair for pair in pairs() if diff3(pair.base, pair.ours, pair.theirs) is not None]
DEPENDENT = [pair for pair in BY_LINES if pair.merged is None and pair.kind == "dependent"]
# To leave early is common, and mostly meant for what follows.
EARLY = ("returns before the other", "may return before the other")


def name(pair: Pair) -> str:
    return entangled(pair.base, pair.ours, pair.theirs, pair.language)


@pytest.mark.parametrize("language", sorted({pair.language for pair in DEPENDENT}))
def test_a_new_use_of_what_the_other_changed_is_entangled(language: str) -> None:
    some = [pair for pair in DEPENDENT if pair.language == language and pair.name not in EARLY]
    assert len(some) >= 5
    assert [pair.name for pair in some if not name(pair)] == []


def test_what_is_independent_is_not_entangled() -> None:
    some = [pair for pair in BY_LINES if pair.merged is not None][::3]
    assert len(some) > 150
    assert [(pair.language, pair.kind, pair.name) for pair in some if name(pair)] == []


BASE = b"def f(a):\n    x = a\n    y = g(x, 1)\n    one()\n    two()\n    return y\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ((b"x = a", b"x = a + 1"), (b"    two()\n", b"    two(x)\n"), "x"),
        ((b"x = a", b"x = a + 1"), (b"g(x, 1)", b"g(x, 2)"), ""),
        ((b"x = a", b"x = h.x = a"), (b"    two()\n", b"    two(h.x.z)\n"), "h.x"),
        ((b"(a)", b"(a, b=1)"), (b"    two()\n", b"    two(b)\n"), "b"),
        ((b"x = a", b"x = a + 1"), (b"    return y", b"    x = 2\n    return y"), "x"),
        ((b"one()", b"one(1)"), (b"return y", b"return (y)"), ""),
    ],
)
def test_the_name_at_issue(ours: tuple[bytes, bytes], theirs: tuple[bytes, bytes], said: str) -> None:
    one, two = BASE.replace(*ours), BASE.replace(*theirs)
    assert entangled(BASE, one, two, "python") == entangled(BASE, two, one, "python") == said


def test_of_what_can_not_be_read_nothing_is_said() -> None:
    assert entangled(b"f(", b"f((", b"f(((", "python") == ""
