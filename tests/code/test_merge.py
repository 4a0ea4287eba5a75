"""Merging source files: what becomes of two edits of one kind each, in files of every form."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from intarsia.code.merging.merge import Conflict, Merged, merge
from intarsia.code.outline import outline
from tests.code.pairs import pairs

BASE = b"import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 2\n\n\ndef c():\n    return 3\n"
A, B = b"def a():\n    return 1\n\n\n", b"def b():\n    return 2\n\n\n"
A_MOVED = BASE.replace(A, b"") + b"\n\n" + A.rstrip() + b"\n"
CLASS = b"class A(X):\n    x = 1\n\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"
LONG = b"def a():\n    x = compute_something_long(1, 2, 3)\n    y = other_thing(x)\n    return x + y\n"

Change = bytes | list[tuple[bytes, bytes]]


def merged(base: bytes, ours: bytes, theirs: bytes, language: str | None = "python") -> bytes:
    result = merge(base, ours, theirs, language)
    assert isinstance(result, Merged), result.overlaps
    assert isinstance(merge(base, theirs, ours, language), Merged)
    return result.data


def conflict(base: bytes, ours: bytes, theirs: bytes, language: str | None = "python") -> Conflict:
    result = merge(base, ours, theirs, language)
    assert isinstance(result, Conflict), result.data
    assert isinstance(merge(base, theirs, ours, language), Conflict)
    return result


def changed(text: bytes, *exchanges: tuple[bytes, bytes]) -> bytes:
    for old, new in exchanges:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def version(base: bytes, change: Change) -> bytes:
    return change if isinstance(change, bytes) else changed(base, *change)


# What stands there, what each side makes of it, and what both make of it together.
TOGETHER: dict[str, tuple[bytes, Change, Change, bytes | None]] = {
    "neighbours changed": (BASE, [(b"return 1", b"return 11")], [(b"return 2", b"return 22")], None),
    "neighbours removed": (BASE, [(A, b"")], [(B, b"")], None),
    "changed and moved": (BASE, [(b"return 1", b"return 11")], A_MOVED, changed(A_MOVED, (b"return 1", b"return 11"))),
    "removed and moved": (BASE, [(A, b"")], A_MOVED, changed(BASE, (A, b""))),
    "added at one place": (
        BASE,
        BASE + b"\n\ndef d():\n    return 4\n",
        BASE + b"\n\ndef e():\n    return 5\n",
        BASE + b"\n\ndef d():\n    return 4\n\n\ndef e():\n    return 5\n",
    ),
    "added alike": (BASE, BASE + b"\n\ndef d():\n    return 4\n", BASE + b"\n\ndef d():\n    return 4\n", None),
    "imports at one place": (
        BASE,
        [(b"import os\n", b"import os\nimport re\n")],
        [(b"import os\n", b"import os\nimport sys\n")],
        changed(BASE, (b"import os\n", b"import os\nimport re\nimport sys\n")),
    ),
    "imports below the comment of a file": (
        b"# Comment.\n" + BASE,
        b"# Comment.\nimport re\n" + BASE,
        b"# A better comment.\nimport abc\n" + BASE,
        b"# A better comment.\nimport re\nimport abc\n" + BASE,
    ),
    "a docstring and an import": (BASE, b"import re\n" + BASE, b'"""D."""\n' + BASE, b'"""D."""\nimport re\n' + BASE),
    "an import from the future": (
        BASE,
        b"import re\n" + BASE,
        b"from __future__ import annotations\n" + BASE,
        b"from __future__ import annotations\nimport re\n" + BASE,
    ),
    "a shebang and an import": (
        BASE,
        b"import re\n" + BASE,
        b"#!/bin/python\n" + BASE,
        b"#!/bin/python\nimport re\n" + BASE,
    ),
    "the names of one import": (
        b"from x import a\n",
        b"from x import a, b\n",
        b"from x import (\n    a,\n    c,\n)\n",
        b"from x import (\n    a,\n    b,\n    c,\n)\n",
    ),
    "an import of one module added by both": (
        BASE,
        b"from x import a\n" + BASE,
        b"from x import a, b\n" + BASE,
        b"from x import a, b\n" + BASE,
    ),
    "renamed and changed": (LONG, [(b"def a", b"def z")], [(b"x + y", b"x * y")], None),
    "header and member": (CLASS, [(b"A(X)", b"A(X, Y)")], [(b"return 2", b"return 22")], None),
    "class renamed, and a member changed": (CLASS, [(b"class A", b"class Z")], [(b"return 2", b"return 22")], None),
    "members added at one place": (
        CLASS,
        CLASS + b"\n    def h(self):\n        return 3\n",
        CLASS + b"\n    def i(self):\n        return 4\n",
        CLASS + b"\n    def h(self):\n        return 3\n\n    def i(self):\n        return 4\n",
    ),
    "blank lines and code": (CLASS, [(b"\n\n    def g", b"\n\n\n    def g")], [(b"return 2", b"return 22")], None),
    "removed, and blank lines changed": (BASE, [(A, b"")], [(b"\n\n\ndef a", b"\n\ndef a")], changed(BASE, (A, b""))),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_both_are_done(name: str) -> None:
    base, one, two, both = TOGETHER[name]
    ours, theirs = version(base, one), version(base, two)
    if both is None:
        both = ours if isinstance(two, bytes) else changed(ours, *two)
    assert merged(base, ours, theirs) == both


# What stands there, what each side makes of it, and the symbol and the kind of overlap.
AGAINST: dict[str, tuple[bytes, Change, Change, str, str]] = {
    "changed": (BASE, [(b"return 1", b"return 11")], [(b"return 1", b"return 12")], "a", "changed"),
    "removed": (BASE, [(A, b"")], [(b"return 1", b"return 12")], "a", "removed"),
    "added": (BASE, BASE + b"\n\ndef d():\n    return 4\n", b"def d():\n    pass\n\n\n" + BASE, "d", "added"),
    "renamed twice": (LONG, [(b"def a", b"def p")], [(b"def a", b"def q")], "p", "changed"),
    "renamed and rewritten": (LONG, [(b"def a", b"def y"), (b"1, 2", b"2, 1")], [(b"x + y", b"x")], "y", "renamed"),
    "replaced by something short": (
        BASE,
        [(A, b"def z():\n    return 1\n\n\n")],
        [(b"return 1", b"return 0")],
        "z",
        "renamed",
    ),
    "one name for two imports, one in a list with comments": (
        b"from m import (\n    a,  # of a\n)\n\nx = 1\n",
        [(b"of a\n", b"of a\n    n,\n    z,\n")],
        [(b"x = 1", b"from o import n\n\nx = 1")],
        "import o",
        "added",
    ),
    "one name for two imports, one in a list over two lines": (
        b"from m import a\n\nx = 1\n",
        [(b"import a", b"import a, n, \\\n    z")],
        [(b"x = 1", b"from o import n\n\nx = 1")],
        "import o",
        "added",
    ),
    "one name for two imports": (BASE, b"import x as n\n" + BASE, b"import y as n\n" + BASE, "import y as n", "added"),
    "an import and a function": (
        BASE,
        b"from x import d\n" + BASE,
        BASE + b"\n\ndef d():\n    return 4\n",
        "d",
        "added",
    ),
    "moved past a new use": (BASE, A_MOVED, [(b"def b", b"@a\ndef b")], "a", "moved"),
    "statements at one place": (BASE, BASE + b"\n\nfirst()\n", BASE + b"\n\nsecond()\n", "(call)", "order"),
    "module of an import, and its names": (
        b"from x import a\n",
        b"from y import a\n",
        b"from x import a, b\n",
        "import x",
        "removed",
    ),
    "a member of a class": (CLASS, [(b"return 1", b"return 11")], [(b"return 1", b"return 12")], "A.f", "changed"),
}


@pytest.mark.parametrize("name", AGAINST)
def test_only_one_can_be(name: str) -> None:
    base, one, two, key, kind = AGAINST[name]
    ours, theirs = version(base, one), version(base, two)
    overlap = conflict(base, ours, theirs).overlaps[0]
    assert (overlap.key, overlap.kind) == (key, kind)


def test_moved_to_two_places() -> None:
    names = "abcdef"
    function = {name: f"def {name}():\n    return '{name}'\n" for name in names}
    base, ours, theirs = (
        "\n\n".join(function[name] for name in order).encode() for order in (names, "bcadef", "bcdefa")
    )
    assert {overlap.kind for overlap in conflict(base, ours, theirs).overlaps} == {"moved"}


def test_two_that_changed_places() -> None:
    """Whether the one or the other was moved can't be told, so that there is a way to do both."""
    names = "abcd"
    function = {name: f"def {name}():\n    return '{name}'\n" for name in names}
    base, ours, theirs, both = (
        "\n\n".join(function[name] for name in order).encode() for order in (names, "bacd", "bcda", "bcda")
    )
    assert merged(base, ours, theirs) == both


def test_a_conflict_holds_the_texts_of_all_versions() -> None:
    theirs = changed(BASE, (b"return 1", b"return 12"), (b"return 3", b"return 33"))
    found = conflict(BASE, changed(BASE, (A, b"")), theirs)
    overlap = found.overlaps[0]
    assert (overlap.base, overlap.ours, overlap.theirs) == (A.rstrip() + b"\n", None, b"def a():\n    return 12\n")
    marked = found.marked(("HEAD", "base", "topic"))
    assert b"<<<<<<< HEAD\n=======\ndef a():\n    return 12\n>>>>>>> topic\n" in marked
    assert marked.count(b"<<<<<<<") == 1
    assert b"return 33" in marked


WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "BOM": lambda text: b"\xef\xbb\xbf" + text,
    "no final newline": lambda text: text.removesuffix(b"\n"),
    "tabs": lambda text: text.replace(b"    ", b"\t"),
    "form feeds": lambda text: text.replace(b"\n\n\ndef", b"\n\n\x0c\ndef"),
    "latin-1": lambda text: text + b"# \xe9\xff\x85\n",
    "odd separators": lambda text: text.replace(b"    return", "    #\u2028\u2029\x0b\x1c\n    return".encode()),
    "BOM, CRLF, no final newline": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n").removesuffix(b"\r\n"),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_however_a_file_is_written_its_bytes_stay(form: str) -> None:
    write = WRITTEN[form]
    ours, theirs = changed(BASE, (b"return 1", b"return 11")), changed(BASE, (b"return 2", b"return 22"))
    both = changed(ours, (b"return 2", b"return 22"))
    assert merged(write(BASE), write(ours), write(theirs)) == write(both)


@pytest.mark.parametrize("form", WRITTEN)
def test_a_side_may_write_the_whole_file_otherwise(form: str) -> None:
    write = WRITTEN[form]
    theirs = changed(BASE, (b"import os", b"import os\nimport re"))
    assert merged(BASE, write(BASE), theirs) == write(theirs)
    assert merged(write(BASE), BASE, write(theirs)) == theirs


def test_a_file_of_mixed_line_ends_keeps_each() -> None:
    base = BASE.replace(b"import os\n", b"import os\r\n")
    ours, theirs = changed(base, (b"return 1", b"return 11")), changed(base, (b"return 2", b"return 22"))
    assert merged(base, ours, theirs) == changed(ours, (b"return 2", b"return 22"))


def test_both_append_to_a_last_line_without_newline() -> None:
    base = BASE.removesuffix(b"\n")
    ours, theirs = BASE + b"\n\ndef d():\n    pass", BASE + b"\n\ndef e():\n    pass"
    assert merged(base, ours, theirs) == BASE + b"\n\ndef d():\n    pass\n\n\ndef e():\n    pass"


def test_what_is_not_text_is_not_merged() -> None:
    assert conflict(b"a\n\0\n", b"b\n\0\n", b"a\n\0\nc\n").overlaps[0].said == "it is not text"


def test_unknown_languages_are_merged_by_lines() -> None:
    assert merged(b"a\nb\nc\n", b"A\nb\nc\n", b"a\nb\nC\n", None) == b"A\nb\nC\n"
    assert conflict(b"a\nb\n", b"A\nb\n", b"a\nB\n", None).overlaps[0].key == ""


def test_broken_files_are_merged_by_lines() -> None:
    base = BASE.replace(b"def b():", b"def b(:")
    result = merge(
        base, changed(base, (b"return 1", b"return 11")), changed(base, (b"return 3", b"return 33")), "python"
    )
    assert isinstance(result, Merged)
    assert result.how == "lines"
    assert result.data == changed(base, (b"return 1", b"return 11"), (b"return 3", b"return 33"))


def test_lines_alone_may_not_change_their_owner() -> None:
    """In a broken file ours moves a function, and the lines it leaves are like those of another one."""
    twin = b"def %s():\n    first()\n    second()\n    third()\n\n\n"
    base = b"def x(:\n\n\n" + twin % b"a" + twin % b"b" + b"end = 1\n"
    ours = base.replace(twin % b"a", b"")
    theirs = base.replace(b"def a():\n    first()\n", b"def a():\n    first()\n    more()\n")
    assert conflict(base, ours, theirs)


def test_outlines_are_taken_as_they_are() -> None:
    ours, theirs = changed(BASE, (b"return 1", b"return 11")), changed(BASE, (b"return 2", b"return 22"))
    made = [outline(text, "python") for text in (BASE, ours, theirs)]
    assert merge(made[0], made[1], theirs, "python") == merge(BASE, ours, theirs, "python")
    assert merge(made[0], made[1], made[2], "python") == merge(BASE, ours, theirs, "python")


# Per language: the file, what each side puts in place of a text, and what must be in the result.
ELSEWHERE = {
    "javascript": (
        b'import { a } from "a";\n\ndescribe("x", () => {\n  it("one", () => {\n    a();\n  });\n});\n',
        [(b"{ a } from", b"{ a, b } from"), (b"  });\n});", b'  });\n\n  it("two", () => {\n    b();\n  });\n});')],
        [(b"{ a } from", b"{ a, c } from"), (b"  });\n});", b'  });\n\n  it("three", () => {\n    c();\n  });\n});')],
        [b'import { a, b, c } from "a";\n', b'  });\n\n  it("two", () => {\n    b();\n  });\n\n  it("three", '],
    ),
    "go": (
        b'package a\n\nimport (\n\t"fmt"\n)\n\nfunc (t *T) F() {\n\tfmt.Println()\n}\n\n'
        b"func (t *T) G() {\n\treturn\n}\n",
        [(b'\t"fmt"\n', b'\t"fmt"\n\t"os"\n'), (b"Println()", b"Print()")],
        [(b'\t"fmt"\n', b'\t"fmt"\n\t"io"\n'), (b"\treturn\n", b"\tpanic(1)\n")],
        [b'import (\n\t"fmt"\n\t"os"\n\t"io"\n)\n', b"fmt.Print()", b"panic(1)"],
    ),
    "rust": (
        b"use a::{b, c};\n\npub enum E {\n    A,\n    B,\n}\n\n"
        b"impl T {\n    fn f(&self) -> i32 {\n        1\n    }\n}\n",
        [(b"{b, c}", b"{b, c, d}"), (b"        1\n", b"        11\n")],
        [(b"{b, c}", b"{a, b, c}"), (b"    B,\n", b"    B,\n    C,\n")],
        [b"use a::{a, b, c, d};\n", b"    C,\n}\n", b"        11\n"],
    ),
    "java": (
        b"class A {\n    enum E { X, Y }\n\n"
        b"    int f(int a) {\n        return 1;\n    }\n\n    int f(long a) {\n        return 2;\n    }\n}\n",
        [(b"X, Y", b"X, Y, Z"), (b"return 1", b"return 11")],
        [(b"X, Y", b"X, Y, W"), (b"return 2", b"return 22")],
        [b"enum E { X, Y, Z, W }", b"int f(int a) {\n        return 11", b"int f(long a) {\n        return 22"],
    ),
    "c": (
        b"#include <a.h>\n\n#ifdef X\nint f(void);\n#endif\n\nint g(void)\n{\n\treturn 1;\n}\n",
        [(b"<a.h>\n", b"<a.h>\n#include <b.h>\n"), (b"int f(void);\n", b"int f(void);\nint h(void);\n")],
        [(b"<a.h>\n", b"<a.h>\n#include <c.h>\n"), (b"return 1", b"return 2")],
        [b"#include <a.h>\n#include <b.h>\n#include <c.h>\n\n", b"int h(void);\n#endif", b"return 2"],
    ),
    "cpp": (
        b"namespace n {\n\n"
        b"class A {\npublic:\n  int f() { return 1; }\n  int g() { return 2; }\n};\n\n}  // namespace n\n",
        [(b"return 1", b"return 11")],
        [(b"return 2", b"return 22")],
        [b"int f() { return 11; }\n  int g() { return 22; }\n"],
    ),
    "c_sharp": (
        b"using A;\n\nnamespace N\n{\n    class C\n    {\n        int x;\n\n        int F() { return 1; }\n    }\n}\n",
        [(b"using A;\n", b"using A;\nusing B;\n"), (b"int x;\n", b"int x;\n        int y;\n")],
        [(b"using A;\n", b"using A;\nusing C;\n"), (b"return 1", b"return 2")],
        [b"using A;\nusing B;\nusing C;\n", b"int x;\n        int y;\n", b"return 2"],
    ),
    "ruby": (
        b"class A < B\n  def f\n    1\n  end\n\n  private\n\n  def g\n    2\n  end\nend\n",
        [(b"    1\n  end\n", b"    1\n  end\n\n  def h\n    3\n  end\n")],
        [(b"    1\n  end\n", b"    1\n  end\n\n  def i\n    4\n  end\n"), (b"    2\n", b"    22\n")],
        [b"  def h\n    3\n  end\n\n  def i\n    4\n  end\n\n  private\n", b"    22\n"],
    ),
    "php": (
        b"<?php\nnamespace A;\nuse B\\C;\n\n"
        b"class X {\n    public $a;\n    function f() {\n        return 1;\n    }\n}\n",
        [(b"use B\\C;\n", b"use B\\C;\nuse B\\D;\n"), (b"public $a;\n", b"public $a;\n    public $b;\n")],
        [(b"use B\\C;\n", b"use B\\C;\nuse B\\E;\n"), (b"return 1", b"return 2")],
        [b"use B\\C;\nuse B\\D;\nuse B\\E;\n", b"public $b;\n", b"return 2"],
    ),
    "typescript": (
        b"interface I {\n  a: string;\n}\n\nexport function f(a: string): void;\nexport function f(a: number): void;\n",
        [(b"  a: string;\n}", b"  a: string;\n  b: string;\n}")],
        [(b"  a: string;\n}", b"  a: string;\n  c: string;\n}"), (b"(a: number)", b"(b: number)")],
        [b"  a: string;\n  b: string;\n  c: string;\n}", b"f(a: string): void;\nexport function f(b: number)"],
    ),
    "tsx": (
        b"const A = () => <p>one</p>;\n\nconst B = () => <p>two</p>;\n",
        [(b"one", b"1")],
        [(b"two", b"2")],
        [b"const A = () => <p>1</p>;\n\nconst B = () => <p>2</p>;\n"],
    ),
}


@pytest.mark.parametrize("language", ELSEWHERE)
def test_every_language(language: str) -> None:
    base, one, two, parts = ELSEWHERE[language]
    result = merged(base, changed(base, *one), changed(base, *two), language)
    for part in parts:
        assert part in result


def test_a_new_section_of_a_class_does_not_swallow_what_the_other_side_added() -> None:
    base = b"class A\n  def f\n    1\n  end\nend\n"
    ours = changed(base, (b"    1\n  end\n", b"    1\n  end\n\n  private\n"))
    theirs = changed(base, (b"    1\n  end\n", b"    1\n  end\n\n  def g\n    2\n  end\n"))
    assert conflict(base, ours, theirs, "ruby").overlaps[0].kind == "order"


def test_which_of_several_of_one_name_was_changed_must_be_known() -> None:
    """Ours removes the first and changes the second, which now is the first."""
    body = "        one();\n        two();\n        three();\n        return 1;\n    }\n"
    first, second = (f"    int f({kind} a) {{\n{body}" for kind in ("int", "long"))
    base = f"class A {{\n{first}\n{second}}}\n".encode()
    ours = f"class A {{\n{second.replace('one', 'uno')}}}\n".encode()
    theirs = base.replace(b"return 1", b"return 2", 1)
    assert conflict(base, ours, theirs, "java")


def test_a_comment_does_not_come_to_speak_of_what_the_other_side_added() -> None:
    result = merged(b"", b"# Of ours.\n", b"x = 1\n")
    assert result in (b"# Of ours.\n\nx = 1\n", b"x = 1\n# Of ours.\n")


def test_form_feeds_stay_where_the_other_side_adds_above() -> None:
    ours = BASE.replace(b"\n\n\ndef b", b"\n\n\x0c\ndef b")
    theirs = changed(BASE, (b"def b", b"def d():\n    return 4\n\n\ndef b"))
    assert b"\x0c\ndef b" in merged(BASE, ours, theirs)


HOT_SPOTS = list(pairs())


@pytest.mark.parametrize("language", sorted({pair.language for pair in HOT_SPOTS}))
def test_two_changes_at_one_spot_are_merged_right_or_handed_back(language: str) -> None:
    """Also by the layers above the merge inside of a unit, which hand back no more than that does."""
    for pair in [pair for pair in HOT_SPOTS if pair.language == language]:
        found = merge(pair.base, pair.ours, pair.theirs, language)
        data = None if isinstance(found, Conflict) else found.data
        assert data == pair.merged, (pair.kind, pair.name, data)


def test_a_name_of_a_list_with_comments_is_bound_in_other_languages_too() -> None:
    base = b'import {\n  a, // of a\n} from "https://m";\n\nx();\n'
    ours = changed(base, (b"// of a\n", b"// of a\n  n,\n  z,\n"))
    theirs = changed(base, (b"x();", b'import { n } from "o";\n\nx();'))
    assert {overlap.kind for overlap in conflict(base, ours, theirs, "javascript").overlaps} == {"added"}


def test_a_call_elsewhere_in_the_file_counts_when_parameters_are_merged() -> None:
    base = b"def f(a):\n    g()\n\n\nf(1)\n"
    ours, theirs = changed(base, (b"f(a)", b"f(a, b=1)")), changed(base, (b"f(a)", b"f(a, c=1)"))
    assert b"f(a, b=1, c=1)" in merged(base, ours, theirs)
    assert conflict(base, ours, changed(theirs, (b"f(1)", b"f(1, 2)"))).overlaps[0].key == "f"


def test_lines_that_are_apart_and_depend_on_each_other() -> None:
    base = b"def f(a):\n    x = a\n    one()\n    two()\n    three()\n    return a\n"
    ours, theirs = changed(base, (b"x = a", b"y = a")), changed(base, (b"    return a", b"    return x"))
    assert conflict(base, ours, theirs).overlaps[0].key == "f"
    assert b"ein()\n    two()\n    drei()" in merged(
        base, changed(base, (b"one()", b"ein()")), changed(base, (b"three()", b"drei()"))
    )


def test_an_import_that_one_side_replaced_and_the_other_removed() -> None:
    base = b"import m.B;\nimport m.C;\n\nclass A {\n}\n"
    ours, theirs = changed(base, (b"m.B", b"m.n.B")), changed(base, (b"import m.B;\n", b""))
    assert conflict(base, ours, theirs, "java").overlaps[0].key == "import m.B"


def test_enumerators_count_up() -> None:
    base = b"enum E {\n  A,\n  B,\n}\n"
    front, back = changed(base, (b"  A,\n", b"  Z,\n  A,\n")), changed(base, (b"  B,\n", b"  B,\n  C,\n"))
    assert conflict(base, front, back, "typescript").overlaps[0].key == "E"


def test_methods_of_an_enumeration_are_as_free_as_others() -> None:
    base = b"class E(Enum):\n    A = 1\n\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"
    ours = changed(base, (b"return 1", b"return 11"), (b"A = 1\n", b"A = 1\n    B = 2\n"))
    theirs = changed(base, (b"    def f(self):\n        return 1\n\n", b"")) + b"\n    def f(self):\n        return 1\n"
    both = merged(base, ours, theirs)
    assert both.index(b"B = 2") < both.index(b"return 2") < both.index(b"return 11")
