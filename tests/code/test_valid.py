"""Each rule catches what it is there for, also in what git calls clean."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from intarsia.code.merging.valid import Blend, check, uncounted

BASE = b"import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 2\n\n\ndef c():\n    return 3\n"
A, B, C = (f"def {name}():\n    return {n}\n\n\n".encode() for n, name in ((1, "a"), (2, "b"), (3, "c")))
OURS, THEIRS = BASE.replace(b"return 1", b"return 11"), BASE.replace(b"return 3", b"return 33")
BOTH = OURS.replace(b"return 3", b"return 33")


def rules(base: bytes, ours: bytes, theirs: bytes, result: bytes, language: str = "python") -> set[str]:
    return {problem.rule for problem in check(base, ours, theirs, result, language)}


def test_a_right_result_passes() -> None:
    assert check(BASE, OURS, THEIRS, BOTH, "python") == []
    assert check(BASE, OURS, BASE, OURS, "python") == []


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (BOTH.replace(b"return 2\n", b"return (2\n"), "parse"),
        (BOTH + b"\n\n" + B.rstrip() + b"\n", "twice"),
        (BOTH.replace(b"    return 2\n", b""), "lines"),
        (BOTH.replace(b"return 2\n", b"return 2\n    return 2\n"), "lines"),
        (BOTH.replace(b"\n\n\ndef b", b"def b"), "lines"),
        (BOTH.replace(b"return 11", b"return 1"), "place"),
        (BOTH.replace(b"return 2", b"return 33").replace(b"return 33\n\n\ndef c", b"return 33\n\n\ndef c", 1), "place"),
    ],
    ids=["syntax", "defined twice", "lost", "doubled", "glued", "ours undone", "in another symbol"],
)
def test_a_wrong_result_does_not(result: bytes, found: str) -> None:
    assert found in rules(BASE, OURS, THEIRS, result)


def test_lines_that_changed_their_owner() -> None:
    """Every line is there as often as it should be, and the syntax is right."""
    swapped = (
        BOTH.replace(b"return 11", b"return X").replace(b"return 2", b"return 11").replace(b"return X", b"return 2")
    )
    assert rules(BASE, OURS, THEIRS, swapped) == {"place"}


def test_a_mistake_that_a_side_made_is_theirs_to_make() -> None:
    broken = OURS.replace(b"def b():", b"def b(:")
    assert check(BASE, broken, THEIRS, broken.replace(b"return 3", b"return 33"), "python") == []
    worse = broken.replace(b"return 3", b"return (33")
    assert "parse" in rules(BASE, broken, THEIRS, worse)


def test_an_import_from_the_future_comes_first() -> None:
    future = b"from __future__ import annotations\n"
    assert rules(BASE, future + BASE, b"import re\n" + BASE, b"import re\n" + future + BASE) == {"parse"}
    documented = b'#!/bin/python\n# A comment.\n\n"""Doc."""\n\n' + future + BASE
    assert check(BASE, documented, THEIRS, documented.replace(b"return 3", b"return 33"), "python") == []


def test_overloads_are_not_twice_the_same() -> None:
    base = b"class A {\n    int f(int a) { return 1; }\n}\n"
    ours, theirs, both = (
        base.replace(b"}\n}", b"}\n" + b"".join(b"    int f(%s a) { return 2; }\n" % kind for kind in kinds) + b"}")
        for kinds in ([b"String"], [b"long"], [b"String", b"long"])
    )
    assert check(base, ours, theirs, both, "java") == []
    assert "twice" in rules(
        base, ours, theirs, ours.replace(b"\n}\n", b"\n    int f(String a) { return 2; }\n}\n"), "java"
    )


def test_repeated_statements_are_not_definitions() -> None:
    base = b"if a:\n    b()\n\nc()\n"
    ours, theirs = b"if a:\n    x()\n\n" + base, base + b"\nif a:\n    y()\n"
    assert check(base, ours, theirs, b"if a:\n    x()\n\n" + base + b"\nif a:\n    y()\n", "python") == []


def test_words_of_what_was_merged_inside_of_a_unit_are_counted() -> None:
    base, ours, theirs, both = (b"def f(%s):\n    pass\n" % names for names in (b"a", b"a, b", b"a, c", b"a, b, c"))
    blend = Blend(frozenset({"f"}), base, ours, theirs, both)
    assert "lines" in rules(base, ours, theirs, both)
    assert check(base, ours, theirs, both, "python", [blend]) == []
    lost = Blend(frozenset({"f"}), base, ours, theirs, ours)
    assert {problem.rule for problem in check(base, ours, theirs, ours, "python", [lost])} == {"lines"}


def test_lines_count_as_both_sides_changes_account_for() -> None:
    assert uncounted(b"a\n", b"a\nb\n", b"a\nb\n", b"a\nb\n") == []
    assert uncounted(b"a\n", b"a\nb\n", b"a\nb\n", b"a\nb\nb\n") == []
    assert uncounted(b"a\n", b"a\nb\n", b"a\nb\n", b"a\n") == [b"b"]
    assert uncounted(b"a\nb\n", b"a\n", b"b\n", b"") == []


def test_git_is_caught_where_it_brings_back_what_was_removed(tmp_path: Path) -> None:
    """Ours moves b down, theirs removes it; for lines alone that is to remove it here, and to add it there."""
    ours = BASE.replace(B, b"") + b"\n\n" + B.rstrip() + b"\n"
    theirs = BASE.replace(B, b"")
    for name, text in (("base", BASE), ("ours", ours), ("theirs", theirs)):
        (tmp_path / name).write_bytes(text)
    done = subprocess.run(["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0
    assert done.stdout == ours
    assert rules(BASE, ours, theirs, done.stdout) == {"lines", "place"}


def test_what_both_did_alike_is_there_once() -> None:
    """Here ours also removes such a line somewhere else, so that it has as many as the base."""
    base = b"new\n1\n2\n3\n4\n"
    theirs = base.replace(b"2\n", b"2\nnew\n")
    ours = theirs.removeprefix(b"new\n")
    assert check(base, ours, theirs, ours, None) == []
    assert [problem.rule for problem in check(base, ours, theirs, ours.replace(b"new\n", b""), None)] == ["lines"]


def test_a_file_that_only_the_grammar_can_not_read() -> None:
    """An error may reach over the whole file, which is another text then in each version."""
    base = BASE + b"\n\nfrom __future__ import print_function\nprint >>x, 1 ++\n"
    ours, theirs = base.replace(b"return 1", b"return 11"), base.replace(b"return 3", b"return 33")
    assert check(base, ours, theirs, ours.replace(b"return 3", b"return 33"), "python") == []
