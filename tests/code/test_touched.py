"""Which symbols an edit touches, in whole files and in broken ones."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from intarsia.code import touched as module
from intarsia.code.identity import without_ordinals
from intarsia.code.outline import Outline, Unit, outline
from intarsia.code.region import region
from intarsia.code.touched import FILE, Change, touched
from intarsia.code.window import Window, window
from tests.code import fixture

SOURCE = '''\
"""About shapes."""

import os
import sys

LIMIT = 10


# Says what it is.
@decorated
def first(a: int) -> int:
    total = (a + LIMIT)
    return total


class Shape:
    """Has sides."""

    sides = 3

    def area(self, scale: float) -> float:
        return scale * self.sides

    @property
    def name(self) -> str:
        return "shape"

    @name.setter
    def name(self, value: str) -> None:
        print(value)

    @overload
    def size(self, unit: int) -> int: ...
    @overload
    def size(self, unit: str) -> str: ...


def last() -> None:
    for each in [1, 2]:
        print(each)


if __name__ == "__main__":
    first(LIMIT)
'''
NEW = "    def fresh(self):\n        return 1\n\n"


def changes(*edits: tuple[str, str], source: str = SOURCE, language: str = "python") -> list[Change]:
    new = source
    for old, text in edits:
        assert new.count(old) == 1
        new = new.replace(old, text)
    return touched(outline(source.encode(), language), new.encode())


def only(kind: module.Kind, key: str, into: str = "") -> list[Change]:
    return [Change(kind, key, into)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("return total", "return total + 1", only("body", "first")),
        ("return scale", "assert scale\n        return scale", only("body", "Shape.area")),
        ("        print(each)\n", "        print(each)\n        print()\n", only("body", "last")),
        ("first(LIMIT)\n", "first(LIMIT)\n    last()\n", only("body", 'if __name__ == "__main__"')),
        ("LIMIT = 10", "LIMIT = 11", only("body", "LIMIT")),
        ("# Says what it is.", "# Says more.", only("body", "first")),
        ("About shapes", "About all shapes", only("body", "(docstring)")),
        ("Has sides", "Has no sides", only("body", "Shape.(docstring)")),
        ("print(value)", "print(self)", only("body", "Shape.name.setter")),
        ("unit: str) -> str: ...", "unit: str) -> str: pass", only("body", "Shape.size#2")),
        ("scale: float)", "scale: int)", only("signature", "Shape.area")),
        ("LIMIT = 10", "LIMIT: int = 10", only("signature", "LIMIT")),
        ("@decorated", "@decorated()", only("signature", "first")),
        ("class Shape:", "class Shape(Base):", only("signature", "Shape")),
        ("# Says what it is.\n@decorated\ndef first", "@decorated\ndef first", only("body", "first")),
        ("import sys\n", "import sys\nimport re\n", only("imports", "import re")),
        ("import sys\n", "", only("imports", "import sys")),
        ("import sys\n", "from sys import path\n", None),
        ("import os\nimport sys\n", "import sys\nimport os\n", None),
        ("\n\nLIMIT", "\n\n\n\nLIMIT", only("lead", "LIMIT")),
        ("LIMIT = 10\n", "LIMIT = 10 \n", only("lead", "LIMIT")),
        ("    @property", NEW + "    @property", only("added", "Shape.fresh", "Shape")),
        ("\n\nclass Shape", "\n\ndef fresh():\n    pass\n\n\nclass Shape", only("added", "fresh")),
        ("LIMIT = 10\n", "LIMIT = 10\nprint(1)\n", only("added", "(call)")),
        ("def last() -> None:\n    for each in [1, 2]:\n        print(each)\n\n\n", "", only("removed", "last")),
        ("    sides = 3\n\n", "", only("removed", "Shape.sides")),
        ("def last", "def final", only("renamed", "last", "final")),
        ("def area", "def surface", only("renamed", "Shape.area", "Shape.surface")),
        ("class Shape", "class Figure", only("renamed", "Shape", "Figure")),
    ],
)
def test_one_edit(old: str, new: str, expected: list[Change] | None) -> None:
    found = changes((old, new))
    assert found == expected if expected is not None else {change.kind for change in found} <= {"imports", "lead"}


def test_nothing_is_touched_by_nothing() -> None:
    assert touched(outline(SOURCE.encode(), "python"), SOURCE.encode()) == []


def test_several_edits() -> None:
    found = changes(("return total", "return 1"), ("import os\n", ""), ("print(each)", "print(1)"))
    assert [change for change in found if change.kind != "lead"] == [
        Change("imports", "import os"),
        Change("body", "first"),
        Change("body", "last"),
    ]


def test_a_move_touches_what_moved() -> None:
    last = SOURCE[SOURCE.index("def last") : SOURCE.index("if __name__")]
    moved = SOURCE.replace(last, "").replace("class Shape", last + "class Shape")
    found = touched(outline(SOURCE.encode(), "python"), moved.encode())
    assert [change for change in found if change.kind != "lead"] == [Change("moved", "last")]


def test_a_method_that_moves_to_another_class_is_removed_and_added() -> None:
    area = SOURCE[SOURCE.index("    def area") : SOURCE.index("    @property")]
    new = SOURCE.replace(area, "") + "\n\nclass Other:\n" + area
    found = touched(outline(SOURCE.encode(), "python"), new.encode())
    assert {(change.kind, change.key) for change in found if change.kind != "lead"} == {
        ("removed", "Shape.area"),
        ("added", "Other"),
    }


def test_what_is_added_under_a_name_that_is_taken_gets_an_ordinal() -> None:
    assert changes(("    @property", NEW.replace("fresh", "area") + "    @property")) == only(
        "added", "Shape.area#2", "Shape"
    )


def test_a_taken_name_far_away_is_seen_too() -> None:
    source = "def f(): pass\n" + "".join(f"def g{n}():\n    return {n}\n\n" for n in range(50))
    base = outline(source.encode(), "python")
    assert touched(base, (source + "def f(): pass\n").encode()) == only("added", "f#2")


def test_members_of_the_second_class_of_a_name_keep_its_ordinal() -> None:
    source = "class A:\n    x = 1\n" * 2 + "y = 2\n" * 40
    found = touched(
        outline(source.encode(), "python"), source.replace("    x = 1\ny", "    x = 1\n    z = 1\ny").encode()
    )
    assert found == only("added", "A#2.z", "A#2")


def test_a_first_member_is_added_to_an_empty_class() -> None:
    source = "class A {\n}\n" + "class B { void f() { g(); } }\n" * 3
    assert changes(("class A {\n}", "class A {\n  int x;\n}"), source=source, language="java") == only(
        "added", "A.x", "A"
    )


@pytest.mark.parametrize("new", [b"", b"\n", SOURCE.replace("    ", "  ").encode()])
def test_what_changes_most_units_changes_the_file(new: bytes) -> None:
    assert touched(outline(SOURCE.encode(), "python"), new) == [FILE]


def test_what_has_no_outline_is_the_file() -> None:
    assert touched(outline(b"text\n", None), b"other text\n") == [FILE]
    assert touched(outline(b"", "python"), b"x = 1\n") == [FILE]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("(a + LIMIT)", "(a + LIMIT", only("body", "first")),
        ("[1, 2]", "[1, 2", only("body", "last")),
        ("    return total\n", '    return total\n    """\n', only("body", "first")),
        ("return scale * ", "return scale * (", only("body", "Shape.area")),
        ("area(self", "area((self", only("signature", "Shape.area")),
        ("class Shape:", "class Shape(:", only("signature", "Shape")),
        ('"""Has sides."""', '"""Has sides.', only("body", "Shape.(docstring)")),
        ("        print(each)\n", "        print(each)\n        print(\n", only("body", "last")),
        ("# Says what it is.", "((", only("signature", "first")),
        ("\n\nclass Shape", "\n\ndef fresh(:\n    pass\n\n\nclass Shape", [FILE]),
    ],
)
def test_broken_edits_touch_what_they_are_in(old: str, new: str, expected: list[Change]) -> None:
    assert changes((old, new)) == expected


def test_two_broken_places_touch_the_file() -> None:
    assert changes(("(a + LIMIT)", "(a + LIMIT"), ("[1, 2]", "[1, 2")) == [FILE]


def test_a_second_broken_edit_of_one_unit_touches_it_alone() -> None:
    assert changes(("total = (a", "total = ((a"), ("return total", "return (total")) == only("body", "first")


def definitions(made: Outline) -> list[Unit]:
    """Those with a body, and brackets or words in it that can be lost."""
    return [unit for unit in made.walk() if unit.units is None and unit.signature and unit.name]


def losses(name: str, unit: Unit) -> list[int]:
    """Where a bracket, or in Ruby the last `end`, stands in the unit's body."""
    data = fixture.data(name)
    body = data[unit.signature : unit.end]
    if fixture.language(name) == "ruby":
        ends = [found.start() for found in re.finditer(rb"\bend\b", body)]
        return [unit.signature + ends[-1]] if ends else []
    return [unit.signature + found.start() for found in re.finditer(rb"[(){}\[\]]", body)]


@pytest.mark.parametrize("name", fixture.NAMES)
def test_a_lost_bracket_touches_its_symbol_and_no_other(name: str) -> None:
    base, data = fixture.outlined(name), fixture.data(name)
    length = 3 if fixture.language(name) == "ruby" else 1
    tried = 0
    for unit in definitions(base):
        for place in losses(name, unit):
            found = touched(base, data[:place] + data[place + length :])
            assert {change.key for change in found} == {unit.key}, data[unit.core : unit.end]
            assert {change.kind for change in found} <= {"body", "signature"}
            tried += 1
    assert tried >= 5


@pytest.mark.parametrize("name", fixture.NAMES)
def test_an_edit_of_a_body_touches_it_alone(name: str) -> None:
    base, data = fixture.outlined(name), fixture.data(name)
    for unit in definitions(base):
        body = data[unit.signature : unit.end]
        for found in re.finditer(rb"\b[1-9]\b", body):
            at = unit.signature + found.start()
            expected = only("body", unit.key)
            assert touched(base, data[:at] + b"77" + data[at + 1 :]) == expected, data[unit.core : unit.end]


@pytest.mark.parametrize("name", fixture.NAMES)
def test_removing_a_unit_removes_it_alone(name: str) -> None:
    base, data = fixture.outlined(name), fixture.data(name)
    # A call without definitions in it holds nothing.
    in_calls = {id(each) for unit in base.walk() if "call" in unit.kind for each in unit.units or []}
    for unit in base.walk():
        if (
            id(unit) in in_calls
            or unit.kind in ("import", "comment", "docstring", "php_tag", "text_interpolation")
            or not unit.name
        ):
            continue
        new = data[: unit.start] + data[unit.end :]
        if unit.units is not None or outline(new, base.language).broken:
            continue
        found = [change for change in touched(base, new) if change.kind != "lead"]
        assert found in ([Change("removed", unit.key)], []) or "#" in "".join(c.key for c in found), unit.key


PLACES = st.floats(0, 1)
TEXTS = st.sampled_from(["x", " ", "\n", "1", "(", ")", "{", "}", '"', "#", "/*", "end", "\n\n\n", ";", ", y", ": "])


@settings(max_examples=1200, deadline=None)
@given(name=st.sampled_from(fixture.NAMES), first=PLACES, second=PLACES, length=st.integers(0, 60), text=TEXTS)
def test_a_region_tells_what_the_whole_file_tells(
    name: str, first: float, second: float, length: int, text: str
) -> None:
    """The short way and the long way agree, wherever both can be gone."""
    base, data = fixture.outlined(name), fixture.data(name)
    at, other = int(first * len(data)), int(second * len(data))
    new = data[:at] + text.encode() + data[at + length :]
    if second < 0.5:
        new = new[:other] + b" " + new[other:]
    assume(new != data)
    found = touched(base, new)
    assert found, "a change is never nothing"
    whole = outline(new, base.language)
    if whole.broken or FILE in found:
        return
    expected = list(module._compare(base.units, base, whole.units, whole, ""))
    assert told(found) == told(expected)


def told(found: list[Change]) -> set[tuple[str, str, str]]:
    """Without what needs no lease, and without ordinals, which a part of a file can't know."""
    return {
        (change.kind, without_ordinals(change.key), without_ordinals(change.into))
        for change in found
        if change.kind != "lead"
    }


def test_a_region_is_small_in_a_large_file() -> None:
    source = "".join(f"def f{n}():\n    return {n}\n\n" for n in range(500))
    base = outline(source.encode(), "python")
    new = source.replace("return 250", "return 0").encode()
    near = region(base, window(base.data, new))
    assert near is not None and [unit.key for unit in near.units] == ["f249", "f250", "f251"]
    assert touched(base, new) == only("body", "f250")


@pytest.mark.parametrize("mistake", ["return (n", "return n]", "if n", "def g(:", "x = = n"])
def test_a_mistake_in_a_large_file_is_seen_from_near(mistake: str) -> None:
    source = "".join(f"def f{n}():\n    return {n}\n\n" for n in range(500))
    base = outline(source.encode(), "python")
    new = source.replace("return 250", mistake).encode()
    near = region(base, window(base.data, new))
    assert near is not None
    made = outline(near.text(new), "python")
    assert made.broken and near.stays_broken(near.find(made), made, new)
    assert touched(base, new) == only("body", "f250")


def test_what_may_end_far_away_is_no_mistake_yet() -> None:
    """Below stands the other end of the string, in what was a comment."""
    functions = [f"def f{n}():\n    return {n}\n\n" for n in range(20)]
    base = outline("".join([*functions, '# """\n']).encode(), "python")
    new = base.data.replace(b"return 18\n", b'return """18\n')
    whole = outline(new, "python")
    assert not whole.broken
    assert told(touched(base, new)) == told(list(module._compare(base.units, base, whole.units, whole, "")))


def test_an_early_end_of_a_container_is_not_taken_for_its_own() -> None:
    source = "namespace a {\nnamespace b {\nint x;\n} // b\n} // a\n" + "int y;\n" * 30
    new = source.replace("} // b\n} // a", "} // b\n} // a } // a")
    assert touched(outline(source.encode(), "cpp"), new.encode()) == only("signature", "a")


def test_lines_that_move_into_the_function_above_touch_it() -> None:
    source = "def f():\n    return 1\n\n\n# between\n\n\ndef g():\n    return 2\n" + "x = 1\n" * 40
    found = touched(outline(source.encode(), "python"), source.replace("def g():\n", "").encode())
    assert ("removed", "g") in {(change.kind, change.key) for change in found}
    assert ("body", "f") in {(change.kind, change.key) for change in found}


@settings(max_examples=300, deadline=None)
@given(base=st.binary(max_size=60), new=st.binary(max_size=60))
def test_the_window_is_all_that_differs(base: bytes, new: bytes) -> None:
    found = window(base, new)
    assert base[: found.low] == new[: found.low]
    assert base[found.high :] == new[found.new_high :]
    assert 0 <= found.low <= found.high and found.low <= found.new_high
    if base == new:
        assert found.low == found.high


def test_whole_lines_are_put_in_where_a_line_begins() -> None:
    base, new = b"def f\ndef h\n", b"def f\ndef g\ndef h\n"
    assert window(base, new) == Window(6, 6, 12)
    assert window(new, base) == Window(6, 12, 6)


def test_a_comment_that_ends_far_away_is_seen() -> None:
    source = "#define A 1\nint b;\n" + "int x{};\n" * 40 + "/* c */\nint d;\n"
    found = touched(outline(source.encode(), "c"), source.replace("A 1", "A 1 /*").encode())
    assert found == [FILE] or {change.key for change in found} > {"b", "A"}
