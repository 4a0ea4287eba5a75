from __future__ import annotations

from itertools import pairwise, product

import pytest

from intarsia.kernel.leases import Mode
from intarsia.kernel.modes import ANYWHERE, CONFLICTS, MODES, Place, conflict, near, place, stronger, within
from intarsia.kernel.resources import parse

NAMES = [
    "code:", "code:src", "code:src/a.py", "code:src/a.py#C", "code:src/a.py#C/body", "code:src/a.py#C.m",
    "code:src/a.py#C.m/body", "code:src/a.py#D", "code:src/b.py", "issue:1", "github://acme/app",
]  # fmt: skip
ADDING: list[Mode] = ["insert", "imports", "append"]
SEEN_FROM_THERE: dict[Place, Place] = {
    "around": "inside", "inside": "around", "unit": "part", "part": "unit", "same": "same"
}  # fmt: skip


def stands(asked: Mode, name: str, held: Mode, held_name: str) -> bool:
    return conflict(asked, parse(name).key, held, parse(held_name).key)


def test_the_table_says_the_same_whoever_was_first() -> None:
    for asked, held, where in product(MODES, MODES, SEEN_FROM_THERE):
        assert (held in CONFLICTS[asked][where]) == (asked in CONFLICTS[held][SEEN_FROM_THERE[where]])
    for name, other in product(NAMES, NAMES):
        there, back = place(parse(name).key, parse(other).key), place(parse(other).key, parse(name).key)
        assert back == (there and SEEN_FROM_THERE[there])


def test_a_stronger_mode_stands_in_the_way_of_all_that_a_weaker_one_does() -> None:
    """So one grant that holds the strongest of what was asked for loses nothing."""
    for weak, strong in pairwise(MODES):
        assert all(CONFLICTS[weak][where] <= CONFLICTS[strong][where] for where in CONFLICTS[weak])
        assert stronger(weak, strong) == stronger(strong, weak) == strong


def test_what_is_looked_up_is_all_that_can_stand_in_the_way() -> None:
    """One range of keys, and the modes of each key, find exactly what the table says."""
    for asked, held, name, other in product(MODES, MODES, NAMES, NAMES):
        key = parse(other).key
        low, high, modes = within(parse(name), asked)
        found = held in near(parse(name), asked).get(key, ()) or (low <= key < high and held in modes)
        assert found == stands(asked, name, held, other), (asked, name, held, other)
        assert not found or held in ANYWHERE[asked]


@pytest.mark.parametrize("adding", ADDING)
def test_adding_goes_with_adding_and_with_those_who_depend_on_what_is_there(adding: Mode) -> None:
    for name, other, mode in product(NAMES, NAMES, [*ADDING, "shared"]):
        assert not stands(adding, name, mode, other)


@pytest.mark.parametrize("adding", ADDING)
@pytest.mark.parametrize(
    ("changed", "goes"),
    [
        ("code:src/a.py#C", False),
        ("code:src/a.py", False),
        ("code:", False),
        ("code:src/a.py#C/body", False),
        ("code:src/a.py#C/body/2", False),
        ("code:src/a.py#C.m", True),
        ("code:src/a.py#C.m/body", True),
        ("code:src/a.py#D", True),
        ("code:src/b.py", True),
    ],
)
def test_adding_to_a_unit_stands_against_who_changes_it_but_not_its_members(
    adding: Mode, changed: str, goes: bool
) -> None:
    assert stands(adding, "code:src/a.py#C", "exclusive", changed) != goes
