"""An outline made from that of an earlier version is the one that is made of the whole file."""

from __future__ import annotations

import random

import pytest

from intarsia.code.outline import Outline, outline
from intarsia.code.packed import pack, unpack
from intarsia.code.renewed import renewed, spliced
from tests.code import fixture
from tests.support.mutations import changed, damaged

SOURCE = (
    b"import os\n\n\ndef a():\n    return 1\n\n\nclass C:\n    def m(self):\n        return 1\n\n\ndef z():\n    pass\n"
)


def after(old: bytes, new: bytes, source: bytes = 4 * SOURCE) -> Outline | None:
    """What is made without parsing the whole; it must be what parsing the whole makes."""
    data = source.replace(old, new, 1)
    made = spliced(outline(source, "python"), data)
    assert made is None or made == outline(data, "python")
    return made


def test_a_change_of_one_unit_is_enough() -> None:
    assert after(b"return 1", b"return 2") is not None
    assert after(b"def m(self)", b"def other(self)") is not None
    assert after(b"\n\ndef z", b"\n\n# New.\ndef y():\n    pass\n\n\ndef z") is not None


def test_names_are_counted_over_the_whole_file() -> None:
    made = after(b"def a():\n    return 1\n\n\n", b"")
    assert made is not None
    assert [unit.key for unit in made.walk() if unit.key.startswith("a")] == ["a", "a#2", "a#3"]
    assert [unit.key for unit in made.walk() if unit.name == "m"] == ["C.m", "C#2.m", "C#3.m", "C#4.m"]


@pytest.mark.parametrize(
    ("old", "new"), [(b"return 1\n", b'return """\n'), (b"return 1\n", b"return (\n"), (b"pass\n", b"pass \\\n")]
)
def test_what_reaches_further_is_seen_by_parsing_the_whole(old: bytes, new: bytes) -> None:
    assert after(old, new) is None
    data = (4 * SOURCE).replace(old, new, 1)
    assert renewed(outline(4 * SOURCE, "python"), data, "python") == outline(data, "python")


@pytest.mark.parametrize("name", fixture.NAMES)
def test_any_change_of_any_language(name: str) -> None:
    rng = random.Random(name)
    language = fixture.language(name)
    made = 0
    for _ in range(15):
        data = fixture.data(name)
        for _ in range(4):
            known = outline(data, language)
            data = damaged(rng, data) if rng.random() < 0.5 else changed(rng, data, language)
            found = spliced(known, data)
            assert found is None or found == outline(data, language)
            made += found is not None and found.data != known.data
    # Where a file is one class, all of it is parsed.
    assert made > 5 or name not in ("sample.py", "sample.js", "sample.ts", "sample.go", "sample.c")


@pytest.mark.parametrize("name", fixture.NAMES)
def test_packed_and_unpacked(name: str) -> None:
    whole = fixture.outlined(name)
    packed = pack(whole)
    assert packed is not None
    assert unpack(packed, whole.data) == whole
    assert unpack(packed, whole.data + b"\n") is None
    assert unpack(packed[:-1], whole.data) is None
    assert pack(outline(b"words", None)) is None


def test_what_other_code_packed_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = outline(SOURCE, "python")
    monkeypatch.setattr("intarsia.code.packed._made_by", lambda: "other")
    packed = pack(whole)
    monkeypatch.undo()
    assert packed is not None
    assert unpack(packed, SOURCE) is None
