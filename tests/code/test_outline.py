"""Outlines tile any file exactly, and give its units lasting keys."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.code.languages import LANGUAGES, MAX_BYTES, language_of
from intarsia.code.outline import Outline, Unit, outline, whole
from tests.code import fixture

BLANK = b" \t\r\n\f\v\xef\xbb\xbf"


def check(made: Outline) -> None:
    """All that an outline promises."""
    assert b"".join(made.tiles()) == made.data
    check_level(made.data, made.units, 0, made.end)
    keys = fixture.keys(made)
    assert len(set(keys)) == len(keys)


def check_level(data: bytes, units: list[Unit], low: int, high: int) -> None:
    assert [unit.start for unit in units[:1]] in ([], [low])
    assert all(one.end == other.start for one, other in pairwise(units))
    for unit in units:
        assert unit.start <= unit.core <= unit.head <= unit.end <= high
        assert not data[unit.start : unit.core].strip(BLANK)
        assert unit.signature == 0 or unit.core <= unit.signature <= unit.end
        if unit.units is not None:
            assert unit.core <= unit.open <= unit.close <= unit.end
            check_level(data, unit.units, unit.open, unit.close)


def contents(folder: Path, *patterns: str, part: int, parts: int, without: str = "") -> Iterator[tuple[str, bytes]]:
    """Name and bytes of all files, each content once: headers have many copies. The parts are for several processes."""
    seen = set()
    for path in sorted(path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()):
        if without in path.parts:
            continue
        data = path.read_bytes()
        if crc32(data) % parts == part and data not in seen:
            seen.add(data)
            yield path.name, data


def check_all(found: Iterable[tuple[str, bytes]]) -> tuple[int, int]:
    """How many files and how many units there were."""
    count = units = 0
    for name, data in found:
        made = outline(data, language_of(name, data))
        check(made)
        count, units = count + 1, units + len(made.units)
    return count, units


@pytest.mark.parametrize("part", range(2))
def test_the_standard_library_tiles(part: int) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    count, units = check_all(contents(library, "*.py", without="site-packages", part=part, parts=2))
    assert count > 250 and units > 10 * count


@pytest.mark.parametrize("part", range(4))
def test_installed_packages_tile(part: int) -> None:
    count, units = check_all(contents(Path(sysconfig.get_path("purelib")), "*.py", part=part, parts=4))
    assert count > 100 and units > 5 * count


@pytest.mark.parametrize("part", range(4))
def test_c_headers_tile(part: int) -> None:
    if not Path("/usr/include").is_dir():
        pytest.skip("there are no C headers on this machine")
    check_all(contents(Path("/usr/include"), "*.h", "*.hpp", part=part, parts=4))


@pytest.mark.parametrize("name", fixture.NAMES)
def test_units_have_the_keys_that_a_person_expects(name: str) -> None:
    made = fixture.outlined(name)
    check(made)
    assert not made.broken
    assert fixture.keys(made) == fixture.expected_keys()[name]


def test_there_is_a_fixture_of_each_language() -> None:
    assert {fixture.language(name) for name in fixture.NAMES} == set(LANGUAGES)


@pytest.mark.parametrize("name", fixture.NAMES)
@pytest.mark.parametrize("change", ["crlf", "bom", "no newline at the end", "tabs behind", "form feed"])
def test_the_bytes_around_lines_do_not_change_keys(name: str, change: str) -> None:
    data = fixture.data(name)
    changed = {
        "crlf": data.replace(b"\n", b"\r\n"),
        "bom": b"\xef\xbb\xbf" + data if not data.startswith(b"#!") else data,
        "no newline at the end": data.rstrip(b"\n"),
        "tabs behind": data + b"\t\n\n",
        "form feed": data.replace(b"\n\n", b"\n\x0c\n") if name.endswith((".py", ".c", ".cpp")) else data,
    }[change]
    made = outline(changed, fixture.language(name))
    check(made)
    assert fixture.keys(made) == fixture.expected_keys()[name]


@pytest.mark.parametrize("name", fixture.NAMES)
@pytest.mark.parametrize("odd", [b"\x00", b"\xe9 latin", b"\xff\xfe", "日本".encode()])
def test_odd_bytes_in_a_comment_do_not_change_keys(name: str, odd: bytes) -> None:
    language = fixture.language(name)
    data = fixture.data(name)
    mark = b"# " if language in ("python", "ruby") else b"// "
    last = [unit for unit in fixture.outlined(name).units if data[unit.end - 1 : unit.end] == b"\n"]
    at = last[len(last) // 2].start if language != "php" else data.index(b"\ninterface") + 1
    made = outline(data[:at] + b"\n" + mark + odd + b" end\n\n" + data[at:], language)
    check(made)
    names = [key for key in fixture.keys(made) if not key.startswith("(comment)")]
    assert names == [key for key in fixture.expected_keys()[name] if not key.startswith("(comment)")]


PIECES = [b"{", b"}", b"(", b")", b"[", b"]", b'"', b"'", b"`", b"/*", b"*/", b"#", b"\n", b"\r", b"\t", b"end\n", b";"]
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.one_of(st.sampled_from(PIECES), st.binary(max_size=12))),
    min_size=1,
    max_size=4,
)


@settings(max_examples=2400, deadline=None)
@given(name=st.sampled_from(fixture.NAMES), edits=EDITS, cut=st.floats(0.2, 1))
def test_damaged_files_tile(name: str, edits: list[tuple[float, int, bytes]], cut: float) -> None:
    data = fixture.data(name)
    data = data[: int(len(data) * cut)]
    for place, length, text in edits:
        at = int(place * len(data))
        data = data[:at] + text + data[at + length :]
    check(outline(data, fixture.language(name)))


@settings(max_examples=300, deadline=None)
@given(language=st.sampled_from(sorted(LANGUAGES)), data=st.binary(max_size=300))
def test_random_bytes_tile(language: str, data: bytes) -> None:
    check(outline(data, language))


# What made a grammar or the splitter slow, large or crash, repeated up to a megabyte.
ENDLESS = [
    *((language, b"([{") for language in LANGUAGES),
    *((language, b"((a") for language in ("python", "ruby", "c")),
    ("go", b"{["),
    ("java", b"A<"),
    ("c_sharp", b"A<"),
    ("c", b"a=>"),
    ("tsx", b"type <?php ^||"),
    ("python", b"a(b)"),
    ("python", b"a=1 "),
    ("javascript", b"a()"),
    ("javascript", b"a?"),
    ("ruby", b"begin\n"),
    ("python", b"def f(:\n"),
    ("java", b"class A { }"),
    ("c", b"if(a) "),
    ("php", b'<?php "'),
]
DEEP = [
    ("go", b"{[", b"]}"),
    ("c", b"(", b")"),
    ("javascript", b"[", b"]"),
    ("python", b"(", b")"),
    ("rust", b"{", b"}"),
]
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1200 << 20, 1200 << 20))
from intarsia.code.outline import outline
for case in sys.argv[1:]:
    language, _, text = case.partition(":")
    begin, _, end = text.partition("-")
    for size in (20_000, 400_000, 999_000):
        times = size // (len(begin + end) // 2)
        data = bytes.fromhex(begin) * times + bytes.fromhex(end) * times
        assert b"".join(outline(data, language).tiles()) == data
"""


def test_no_text_takes_all_time_or_memory() -> None:
    cases = [f"{language}:{text.hex()}" for language, text in ENDLESS]
    cases += [f"{language}:{begin.hex()}-{end.hex()}" for language, begin, end in DEEP]
    subprocess.run([sys.executable, "-c", LIMITED, *cases], check=True, timeout=500)


OVERFLOWING = """
from intarsia.code import languages
languages.SECONDS = 60
languages._parse_deep(b"{[" * 150_000, "go")
"""


def test_a_deep_stack_bears_what_overflows_the_usual_one() -> None:
    subprocess.run([sys.executable, "-c", OVERFLOWING], check=True, timeout=300)


@pytest.mark.parametrize(
    ("language", "begin", "end"),
    [
        ("java", b"class A {\n", b"}\n"),
        ("cpp", b"namespace a {\n", b"}\n"),
        ("ruby", b"module A\n", b"end\n"),
        ("rust", b"mod a {\n", b"}\n"),
        ("javascript", b"describe('a', () => {\n", b"});\n"),
        ("python", b"x = (\n", b")\n"),
    ],
)
def test_deep_nesting_does_not_end_the_recursion(language: str, begin: bytes, end: bytes) -> None:
    for depth in (60, 1500):
        check(outline(begin * depth + end * depth, language))


def test_classes_in_classes_in_python() -> None:
    data = b"".join(b" " * depth + b"class A:\n" for depth in range(90)) + b" " * 90 + b"x = 1\n"
    made = outline(data, "python")
    check(made)
    assert "A." * 30 + "A" in fixture.keys(made)


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("a/b.py", b"", "python"),
        ("B.PYI", b"", "python"),
        ("x.mjs", b"", "javascript"),
        ("x.tsx", b"", "tsx"),
        ("x.cts", b"", "typescript"),
        ("Rakefile", b"", "ruby"),
        ("x.h", b"struct a { int x; };\n", "c"),
        ("x.h", b"namespace a { }\n", "cpp"),
        ("x.h", b"  template <class T> void f();\n", "cpp"),
        ("x.h", b"std::vector<int> x;\n", "cpp"),
        ("x.h", b"/* This class is a typed namespace. */\nint class_of(int);\n", "c"),
        ("README.md", b"", None),
        ("python", b"", None),
        (".py", b"", None),
    ],
)
def test_languages_are_told_by_name_and_headers_by_content(name: str, text: bytes, language: str | None) -> None:
    assert language_of(name, text) == language


@pytest.mark.parametrize(
    ("data", "language"),
    [
        (b"some text\n", None),
        (b"x = 1\n" * (MAX_BYTES // 6 + 1), "python"),
        ("x = 1\n".encode("utf-16"), "python"),
        (b"(" * 5000, "python"),
        (b"a;" * 60_000, "python"),
    ],
)
def test_what_can_not_be_split_is_one_unit(data: bytes, language: str | None) -> None:
    made = outline(data, language)
    assert made == whole(data)
    assert [(unit.kind, unit.key) for unit in made.units] == [("file", "")]
    check(made)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b" "])
def test_an_empty_file_has_no_units(data: bytes) -> None:
    made = outline(data, "python")
    check(made)
    assert made.units == []


def test_a_file_of_comments_has_comments() -> None:
    made = outline(b"# one\n# two\n\n# three", "python")
    check(made)
    assert [made.text(unit) for unit in made.units] == [b"# one\n# two\n", b"# three"]


def test_what_belongs_to_a_unit() -> None:
    data = b"""\
x = 1  # behind

# alone

# above
@decorator
def f(a):  # on the header
    return a
    # at its end

class C:  # of the class
    # above m
    def m(self): pass  # behind m

    # at the end of the class
y = 2; z = 3
"""
    made = outline(data, "python")
    check(made)
    texts = {unit.key: made.text(unit) for unit in made.walk()}
    assert texts["x"] == b"x = 1  # behind\n"
    assert texts["(comment)"] == b"# alone\n"
    assert texts["f"].startswith(b"# above\n@decorator\n") and texts["f"].endswith(b"# at its end\n")
    assert texts["C.m"].startswith(b"    # above m\n") and texts["C.m"].endswith(b"# behind m\n")
    assert texts["C.(comment)"] == b"    # at the end of the class\n"
    assert texts["y"] == b"y = 2;"
    f, c = made.find("f"), made.find("C")
    assert f is not None and c is not None
    assert data[f.core : f.head] == b"# above\n"
    assert data[f.signature :].startswith(b"return a")
    assert data[c.core : c.open] == b"class C:  # of the class\n"


def test_find_takes_a_key() -> None:
    made = fixture.outlined("sample.py")
    setter = made.find("Shape.colour.setter")
    assert setter is not None and setter.name == "colour"
    assert made.find("Shape.nothing") is None


@pytest.mark.parametrize(
    ("language", "data"),
    [
        ("go", b"var x"),
        ("go", b"type"),
        ("go", b"const"),
        ("go", b"import"),
        ("java", b"class A"),
        ("cpp", b"namespace a"),
        ("rust", b"impl A"),
        ("c_sharp", b"class A"),
        ("ruby", b"class A"),
        ("php", b"<?php class A"),
        ("typescript", b"interface A"),
    ],
)
def test_files_that_end_too_early_tile(language: str, data: bytes) -> None:
    for length in range(len(data) + 1):
        check(outline(data[:length], language))


@pytest.mark.parametrize("name", fixture.NAMES)
def test_files_cut_anywhere_tile(name: str) -> None:
    data = fixture.data(name)
    for length in range(0, len(data), 7):
        check(outline(data[:length], fixture.language(name)))
