"""Merging many generated edits: nothing lost, doubled or glued, and no conflict where different symbols were edited."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.code.languages import LANGUAGES
from intarsia.code.merging.merge import Conflict, Merged, merge
from intarsia.code.merging.shape import BOM
from tests.support.edits import pairs, same_meaning


@pytest.mark.parametrize("adjacent", [False, True], ids=["random", "adjacent"])
def test_edits_of_different_symbols_of_the_standard_library(adjacent: bool) -> None:
    """Thousands of them: benchmarks/merge.py."""
    for pair in pairs(150, adjacent=adjacent, seed=20, files=30, most=20_000):
        merged = merge(pair.base, pair.ours, pair.theirs, "python")
        assert isinstance(merged, Merged), (pair.name, pair.kinds, merged.overlaps)
        assert merged.data == pair.both or same_meaning(merged.data, pair.both), (pair.name, pair.kinds)
        turned = merge(pair.base, pair.theirs, pair.ours, "python")
        assert isinstance(turned, Merged), (pair.name, pair.kinds)
        assert same_meaning(turned.data, merged.data), (pair.name, pair.kinds)


# How a function named {n} is written, what stands around all of them, and what to say for `{n}` to differ from another.
FORMS = {
    "python": ("import os\n\n\n{all}\n", "def f{n}():\n    a = {x}\n    return a\n", "\n\n"),
    "javascript": ('"use strict";\n\n{all}\n', "function f{n}() {{\n  let a = {x};\n  return a;\n}}\n", "\n"),
    "typescript": (
        "export class C {{\n{all}}}\n",
        "  f{n}(a: number): number {{\n    a += {x};\n    return a;\n  }}\n",
        "\n",
    ),
    "tsx": ("const z = <b/>;\n\n{all}\n", "function f{n}() {{\n  let a = {x};\n  return <p>{{a}}</p>;\n}}\n", "\n"),
    "go": ("package p\n\n{all}\n", "// f{n} does.\nfunc f{n}() int {{\n\ta := {x}\n\treturn a\n}}\n", "\n"),
    "rust": (
        "use a::b;\n\nimpl T {{\n{all}}}\n",
        "    fn f{n}() -> u8 {{\n        let a = {x};\n        a\n    }}\n",
        "\n",
    ),
    "java": (
        "package p;\n\nclass C {{\n{all}}}\n",
        "    int f{n}() {{\n        int a = {x};\n        return a;\n    }}\n",
        "\n",
    ),
    "c": ("#include <a.h>\n\n{all}", "static int\nf{n}(void)\n{{\n\tint a = {x};\n\treturn a;\n}}\n", "\n"),
    "cpp": ("namespace n {{\n\n{all}\n}}\n", "int f{n}() {{\n  int a = {x};\n  return a;\n}}\n", "\n"),
    "c_sharp": (
        "class C\n{{\n{all}}}\n",
        "    int F{n}()\n    {{\n        var a = {x};\n        return a;\n    }}\n",
        "\n",
    ),
    "ruby": ("class C < B\n{all}end\n", "  def f{n}\n    a = {x}\n    a\n  end\n", "\n"),
    "php": ("<?php\n\n{all}\n", "function f{n}()\n{{\n    $a = {x};\n    return $a;\n}}\n", "\n"),
}


@dataclass(frozen=True)
class Function:
    """`body` tells its versions apart."""

    name: int
    body: int

    def text(self, language: str) -> str:
        return FORMS[language][1].format(n=self.name, x=1000 * self.name + self.body)


Functions = list[Function]


def written(language: str, functions: Functions) -> bytes:
    frame, _, gap = FORMS[language]
    return frame.format(all=gap.join(function.text(language) for function in functions)).encode()


def merged_as(language: str, base: Functions, ours: Functions, theirs: Functions) -> Merged | Conflict:
    return merge(written(language, base), written(language, ours), written(language, theirs), language)


@st.composite
def edited(draw: st.DrawFn) -> tuple[Functions, Functions, Functions]:
    """A file of functions, and two versions of it in which different ones were changed, removed, moved and added."""
    base = [Function(n, 0) for n in range(draw(st.integers(3, 7)))]
    owners = draw(st.lists(st.sampled_from(["ours", "theirs", ""]), min_size=len(base), max_size=len(base)))
    versions = []
    for number, side in enumerate(("ours", "theirs")):
        functions = list(base)
        for function in [f for f in base if owners[f.name] == side]:
            at = functions.index(function)
            del functions[at]
            change = draw(st.sampled_from(["change", "remove", "move", "change and move"]))
            if "move" in change.split():
                at = draw(st.integers(0, len(functions)))
            if change != "remove":
                functions.insert(at, replace(function, body=number + 1) if "change" in change else function)
        for name in range(draw(st.integers(0, 2))):
            functions.insert(draw(st.integers(0, len(functions))), Function(10 + 5 * number + name, 0))
        versions.append(functions)
    return base, versions[0], versions[1]


@pytest.mark.parametrize("language", FORMS)
@given(versions=edited())
@settings(max_examples=25, deadline=None)
def test_the_result_has_just_what_either_side_has(
    language: str, versions: tuple[Functions, Functions, Functions]
) -> None:
    base, ours, theirs = versions
    merged = merged_as(language, *versions)
    # Which of two was moved past the other can't be told; then, and only then, a conflict is right.
    moves = [[f.name for f in side if f.name < 10] for side in (ours, theirs)]
    if not isinstance(merged, Merged):
        assert any(names != sorted(names) for names in moves), merged.overlaps
        return
    old = set(base)
    expected = [f for f in [*ours, *theirs] if f not in old] + [f for f in base if f in ours and f in theirs]
    lines = Counter(line for line in merged.data.decode().split("\n") if line.strip())
    whole = written(language, expected).decode()
    assert lines == Counter(line for line in whole.split("\n") if line.strip())
    assert all(merged.data.decode().count(function.text(language)) == 1 for function in expected)


@pytest.mark.parametrize("language", FORMS)
@given(versions=edited(), data=st.data())
@settings(max_examples=15, deadline=None)
def test_one_function_changed_by_both_is_a_conflict(
    language: str, versions: tuple[Functions, Functions, Functions], data: st.DataObject
) -> None:
    base, ours, theirs = versions
    both = {f.name for f in ours} & {f.name for f in theirs} & {f.name for f in base}
    if not both:
        return
    name = data.draw(st.sampled_from(sorted(both)))
    ours, theirs = (
        [Function(name, 7 + number) if f.name == name else f for f in side]
        for number, side in enumerate((ours, theirs))
    )
    merged = merged_as(language, base, ours, theirs)
    assert not isinstance(merged, Merged)


# Pieces of source that make sense in no order, so that outlines are broken in many ways.
PIECES = st.sampled_from(
    [
        line + b"\n"
        for line in (b"def f():", b"    pass", b"class A {", b"}", b"", b"import a", b"import (", b")", b"#if X")
    ]
    + [line + b"\n" for line in (b"f(1)", b"#endif", b"  int x;", b"/* a", b"*/", b'"""', b"\r", b"\t\x0c", b"end")]
    + [b"\xff\x00", b"x = {"]
)
GARBAGE = st.builds(
    lambda bom, pieces: bom + b"".join(pieces), st.sampled_from([b"", BOM]), st.lists(PIECES, max_size=10)
)
ANY_LANGUAGE = st.sampled_from([*LANGUAGES, None])


@given(GARBAGE, GARBAGE, GARBAGE, ANY_LANGUAGE)
@settings(max_examples=300, deadline=None)
def test_laws_that_hold_for_any_bytes(base: bytes, ours: bytes, theirs: bytes, language: str | None) -> None:
    for changed in (ours, theirs):
        for result in (merge(base, changed, base, language), merge(base, base, changed, language)):
            assert isinstance(result, Merged)
            assert result.data == changed
    merged, turned = merge(base, ours, theirs, language), merge(base, theirs, ours, language)
    assert type(merged) is type(turned)
    if not isinstance(merged, Merged):
        assert merged.overlaps
        assert b"<<<<<<< " in merged.marked(("a", "b", "c"))
        return
    texts = (text.removeprefix(BOM) for text in (base, ours, theirs, merged.data))
    old, one, other, new = (Counter(map(bytes.strip, text.split(b"\n"))) for text in texts)
    for line in (old | one | other | new) - Counter({b"": 100}):
        least = min(one[line], other[line], one[line] + other[line] - old[line])
        assert least <= new[line] <= max(one[line], other[line], one[line] + other[line] - old[line])
