"""Which unit is which after an edit."""

from __future__ import annotations

import pytest

from intarsia.code.identity import moved, pair, without_ordinals
from intarsia.code.outline import outline
from tests.code import fixture


def paired(before: str, after: str, language: str = "python") -> dict[str, str]:
    a, b = outline(before.encode(), language), outline(after.encode(), language)
    found = pair(a.units, a, b.units, b)
    return {a.units[i].key: unit.key for i, unit in found.items()}


LONG = "def {}(first, second):\n    total = first + second\n    return total * first\n\n"


@pytest.mark.parametrize("name", fixture.NAMES)
def test_every_unit_is_itself(name: str) -> None:
    made = fixture.outlined(name)
    assert pair(made.units, made, made.units, made) == dict(enumerate(made.units))


def test_an_edited_unit_keeps_its_name() -> None:
    assert paired("def f():\n    return 1\n", "x = 1\n\ndef f(a):\n    return a\n") == {"f": "f"}


def test_a_variable_may_become_a_function() -> None:
    assert paired("f = 1\n", "def f(): pass\n") == {"f": "f"}


def test_a_renamed_unit_is_known_by_its_text() -> None:
    assert paired(LONG.format("old") + "x = 1\n", "x = 1\n" + LONG.format("new")) == {"old": "new", "x": "x"}


def test_a_renamed_and_edited_unit_is_known_by_its_words() -> None:
    before = LONG.format("old")
    assert paired(before, before.replace("old", "new").replace("total * first", "total * 2")) == {"old": "new"}
    assert paired(before, LONG.format("new").replace("total", "other").replace("first", "third")) == {}


def test_short_units_are_not_known_by_their_text() -> None:
    assert paired("a = 1\n", "b = 2\n") == {}


def test_imports_are_all_alike_and_so_not_renamed() -> None:
    before = "from package.module.submodule import something_long as other\n"
    after = "from package.different.submodule import something_long as other\n"
    assert paired(before, after) == {}


def test_of_several_with_one_name_each_stays_itself() -> None:
    f = "def f():\n    return {}\n\n"
    before = f.format(1) + f.format(2) + f.format(3)
    assert paired(before, f.format(0) + before) == {"f": "f#2", "f#2": "f#3", "f#3": "f#4"}
    assert paired(before, f.format(1) + f.format(3)) == {"f": "f", "f#3": "f#2"}
    assert paired(before, f.format(1) + f.format(1) + f.format(2) + f.format(3))["f#3"] == "f#4"


def test_a_copy_put_before_the_original_is_the_new_one() -> None:
    f = LONG.format("f")
    assert paired("x = 1\n" + f, f + "x = 1\n" + f) == {"x": "x", "f": "f#2"}
    assert paired(f + "x = 1\n", f + "x = 1\n" + f) == {"f": "f", "x": "x"}


def test_what_has_no_name_is_known_by_its_neighbours() -> None:
    both = {"x": "x", "(call)": "(call)"}
    assert paired("x = 1\nprint(1)\n", "x = 1\nprint(2)\ny = 2\n") == both
    assert paired("x = 1\nprint(1)\n", "x = 1\ny = 2\nprint(2)\n") == both
    assert paired("x = 1\nprint(1)\n", "x = 1\ny = 2\nprint(2)\nz = 3\n") == {"x": "x"}
    assert paired("x = 1\nprint(1)\n", "x = 1\nassert 1\n") == {"x": "x"}


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [([], set()), ([0, 1, 2], set()), ([2, 0, 1], {2}), ([1, 2, 3, 0], {0}), ([0, 5, 1, 2, 4, 3], {5, 4})],
)
def test_the_fewest_have_moved(ranks: list[int], expected: set[int]) -> None:
    assert moved(ranks) == expected


def test_the_lightest_have_moved() -> None:
    assert moved([1, 0], [5, 1]) == {0}
    assert moved([1, 0], [1, 5]) == {1}
    assert moved([1, 2, 0], [1, 1, 5]) == {1, 2}


def test_keys_without_ordinals() -> None:
    assert without_ordinals("A#2.f#13") == "A.f"
    assert without_ordinals("A.%23f") == "A.%23f"
