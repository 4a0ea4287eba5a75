"""Merging only what is around a change gives what merging whole files gives, or is left to that."""

from __future__ import annotations

import random

import pytest

from intarsia.code.merging.merge import Merged, merge
from intarsia.code.merging.nearby import merge_nearby
from intarsia.code.outline import outline
from tests.code import fixture
from tests.support.mutations import changed

SOURCE = b"""\
import os
import sys

LIMIT = 1


def a(x):
    return x


def b(x):
    return a(x)


class C:
    def m(self):
        return 1

    def n(self):
        return 2


def z():
    return C()
"""


def nearby(base: bytes, ours: bytes, theirs: bytes, language: str = "python") -> bytes | None:
    """What is merged without looking at the whole; it must be what the whole gives, and with its outline."""
    found = merge_nearby(*(outline(data, language) for data in (base, ours, theirs)))
    if found is None:
        return None
    whole = merge(base, ours, theirs, language)
    assert isinstance(whole, Merged)
    assert found.data == whole.data
    assert found == outline(found.data, language)
    return found.data


def edited(*edits: tuple[bytes, bytes]) -> bytes:
    data = SOURCE
    for old, new in edits:
        assert data.count(old) == 1
        data = data.replace(old, new)
    return data


IN_A = (b"    return x\n", b"    return x + 1\n")
IN_B = (b"    return a(x)\n", b"    return a(x) + 1\n")
NEW = b"\n\ndef new():\n    pass\n"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([IN_A], [IN_B]),
        ([(b"        return 1\n", b"        return 3\n")], [(b"        return 2\n", b"        return 4\n")]),
        ([(b"import sys\n", b"import sys\nimport re\n")], [(b"import sys\n", b"import sys\nimport json\n")]),
        ([(b"    return a(x)\n", b"    return a(x)\n" + NEW)], [IN_A]),
        ([IN_B], [(b"    return a(x)\n", b"    return a(x)\n" + NEW)]),
        ([IN_A], [(b"import os\n", b"import os\nimport re\n"), (b"    return C()\n", b"    return 5\n")]),
        ([(b"def z():\n    return C()\n", b"")], [IN_A]),
    ],
)
def test_changes_apart_are_merged(ours: list[tuple[bytes, bytes]], theirs: list[tuple[bytes, bytes]]) -> None:
    assert nearby(SOURCE, edited(*ours), edited(*theirs)) is not None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        # One name, twice.
        ([(b"    return x\n", b"    return x\n" + NEW)], [(b"    return C()\n", b"    return C()\n" + NEW)]),
        # One name, bound to two things.
        ([(b"import os\n", b"import os\nfrom p import new\n")], [(b"    return C()\n", b"    return C()\n" + NEW)]),
        # What it changed stands in another place now.
        ([(b"    return x\n", b"    return x\n\n\n_ = 5\n"), (b"LIMIT = 1\n", b"")], [(b"LIMIT = 1", b"LIMIT = 2")]),
        # Both changed how a function is called, and its calls are elsewhere.
        ([(b"def a(x):", b"def a(x, y=1):")], [(b"def a(x):", b"def a(x, z=2):")]),
        # A part of the class is no longer in the class.
        ([(b"    def n(self):\n        return 2\n", b"foo()\n    def n(self):\n        return 2\n")],
         [(b"    def n(self):\n        return 2\n", b"")]),
        ([IN_A], [IN_A, (b"    return C()", b"    return (")]),
    ],
)  # fmt: skip
def test_what_may_depend_on_the_rest_is_left_to_the_whole(
    ours: list[tuple[bytes, bytes]], theirs: list[tuple[bytes, bytes]]
) -> None:
    assert nearby(SOURCE, edited(*ours), edited(*theirs)) is None


def test_what_moved_is_left_to_the_whole() -> None:
    a, b = b"def a(x):\n    return x\n\n\n", b"def b(x):\n    return a(x)\n\n\n"
    assert a + b in SOURCE
    for change in (IN_A, IN_B):
        assert nearby(SOURCE, SOURCE.replace(a + b, b + a), edited(change)) is None


def test_a_head_that_both_changed_on_lines_apart_is_left_to_the_whole() -> None:
    """As its calls stand elsewhere."""
    base = SOURCE.replace(b"def a(x):", b"def a(\n    x,\n    w=0,\n    u=0,\n):")
    ours, theirs = base.replace(b"    x,\n", b"    x: int,\n"), base.replace(b"    u=0,\n", b"    u=0,\n    z=1,\n")
    assert nearby(base, ours, theirs) is None
    assert nearby(base, base.replace(b"return a(x)", b"return a(x) + 1"), theirs) is not None


@pytest.mark.parametrize("name", fixture.NAMES)
def test_it_is_the_merge_of_the_whole_in_every_language(name: str) -> None:
    rng = random.Random(name)
    language = fixture.language(name)
    made = 0
    for _ in range(25):
        base = changed(rng, fixture.data(name), language, rng.randrange(3))
        ours, theirs = changed(rng, base, language, rng.choice((1, 2, 5))), changed(rng, base, language)
        made += nearby(base, ours, theirs, language) not in (None, ours, theirs)
    assert made > 3 or language == "php"
