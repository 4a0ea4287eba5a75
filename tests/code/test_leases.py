"""What must be leased for an edit; every name is one that the kernel takes."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.code.leases import lock_name, needs, uri
from intarsia.code.naming import MAX_NAME, escape
from intarsia.code.outline import outline
from intarsia.code.touched import FILE, Change
from intarsia.kernel.modes import MODES, place
from intarsia.kernel.resources import parse
from tests.code import fixture


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change("body", "C.m"), {"code:a.py#C.m/body": "exclusive"}),
        (Change("body", "C.m#2"), {"code:a.py#C.m/body": "exclusive"}),
        (Change("body", "(docstring)"), {"code:a.py#(docstring)/body": "exclusive"}),
        (Change("body", "C.(call)#3"), {"code:a.py#C": "exclusive"}),
        (Change("body", "(comment)"), {"code:a.py": "exclusive"}),
        (Change("signature", "C.m"), {"code:a.py#C.m": "exclusive"}),
        (Change("signature", "C#2.m#3"), {"code:a.py#C.m": "exclusive"}),
        (Change("removed", "f"), {"code:a.py#f": "exclusive"}),
        (Change("removed", "(call)"), {"code:a.py": "exclusive"}),
        (Change("renamed", "C.f", "C.g"), {
            "code:a.py#C": "insert", "code:a.py#C.f": "exclusive", "code:a.py#C.g": "exclusive",
        }),
        (Change("added", "f"), {"code:a.py": "insert", "code:a.py#f": "exclusive"}),
        (Change("added", "C.f", "C"), {"code:a.py#C": "insert", "code:a.py#C.f": "exclusive"}),
        (Change("added", "C.f#2", "C"), {"code:a.py#C": "insert", "code:a.py#C.f": "exclusive"}),
        (Change("added", "(comment)#4"), {"code:a.py": "insert"}),
        (Change("moved", "C.f", "C"), {"code:a.py#C": "insert", "code:a.py#C.f": "exclusive"}),
        (Change("imports", "import os"), {"code:a.py": "imports"}),
        (Change("lead", "f"), {}),
        (FILE, {"code:a.py": "exclusive"}),
    ],
)  # fmt: skip
def test_one_change(change: Change, expected: dict[str, str]) -> None:
    assert needs("a.py", [change]) == expected


def test_of_several_modes_the_strongest_is_needed() -> None:
    added, imports = Change("added", "f"), Change("imports", "import os")
    assert needs("a.py", [imports, added])["code:a.py"] == "insert"
    assert needs("a.py", [added, imports, Change("removed", "(call)")])["code:a.py"] == "exclusive"
    assert set(needs("a.py", [added, imports]).values()) <= set(MODES)


def test_no_changes_need_nothing() -> None:
    assert needs("a.py", []) == {}


def test_units_of_one_name_share_a_lock_that_covers_each() -> None:
    one, other = (needs("a.py", [Change("body", key)]) for key in ("C.f", "C.f#2"))
    assert one == other
    removed = needs("a.py", [Change("removed", "C.f#2")])
    assert contains(next(iter(removed)), next(iter(one)))


def contains(outer: str, inner: str) -> bool:
    return place(parse(outer).key, parse(inner).key) in ("same", "unit", "around")


def check(path: str, key: str) -> None:
    name = uri(path, key)
    assert name.count("#") <= 1, "an ordinal is no name"
    resource = parse(name)
    assert resource.name == name
    assert contains(name, uri(path, key, "body"))
    assert contains(uri(path, key.rpartition(".")[0]), name)


def test_the_kernel_takes_the_names_of_the_standard_library() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.glob("*.py")):
        for unit in outline(path.read_bytes(), "python").walk():
            check(path.name, unit.key)


@pytest.mark.parametrize("name", fixture.NAMES)
def test_the_kernel_takes_the_names_of_every_language(name: str) -> None:
    for key in fixture.expected_keys()[name]:
        check(f"src/{name}", key)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=30))
def test_the_kernel_takes_any_name(names: list[str]) -> None:
    check("a.py", ".".join(escape(name) for name in names))


@given(st.text())
def test_names_of_keys_hold_nothing_that_means_something_else(name: str) -> None:
    made = escape(name)
    assert made.isprintable()
    assert not set(made) & set("./#") and not made.startswith("(")
    assert len(made) <= 12 * MAX_NAME


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", "plain"),
        ("größe", "größe"),
        ("operator/", "operator%2F"),
        ("[Symbol.iterator]", "[Symbol%2Eiterator]"),
        ("100%", "100%25"),
        ("(x)", "%28x)"),
        ("f(x)", "f(x)"),
        ("it  'does\n  this'", "it 'does this'"),
        ("a\xa0b", "a b"),
        ("a\u200bb", "a%E2%80%8Bb"),
        ("#private", "%23private"),
    ],
)
def test_odd_characters_are_percent_encoded(name: str, expected: str) -> None:
    assert escape(name) == expected


def test_long_names_are_cut_but_differ() -> None:
    one, other = escape("it " + "x" * 200 + "a"), escape("it " + "x" * 200 + "b")
    assert one != other and len(one) == len(other) == MAX_NAME


def test_what_is_too_long_is_locked_with_what_contains_it() -> None:
    key = ".".join(f"Class{n}" for n in range(400))
    check("a.py", key)
    assert uri("a.py", key).startswith("code:a.py#Class0.Class1.")
    check("folder/" * 400 + "a.py", "f")


def test_paths_can_hold_what_begins_a_symbol() -> None:
    check("a#b/c.py", "f")
    check("a\tb.py", "f")
    assert parse(uri("a#b.py")).key != parse(uri("a.py", "b")).key


def test_lock_names() -> None:
    assert lock_name("A.f#2") == "A.f"
    assert lock_name("A.(comment)#2") == "A"
    assert lock_name("(comment)") == ""
