"""What two sides break only together: what is provable, what is a notice, and what is neither."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import pytest
from msgspec import structs

from intarsia.code.conflicts.python_conflicts import broken
from intarsia.code.conflicts.semantic import conflicts
from intarsia.code.conflicts.source import Nothing, SemanticConflict
from tests.support.breakage import seeds
from tests.support.corpus import calls_are_new, imports_are_new, package

Files = Mapping[str, str | None]

BASE: Files = {
    "app/__init__.py": "",
    "app/tools.py": "def price(item, count):\n    return item * count\n\n\nclass Box:\n    def __init__(self, size):\n"
    "        self.size = size\n\n    def grow(self, by):\n        return self._add(by)\n\n"
    "    def _add(self, by):\n        return by\n",
    "app/main.py": "def main():\n    pass\n",
}


class Base(Nothing):
    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files
        self.paths = files.keys()

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)

    def mentioning(self, name: str) -> list[str]:
        return [path for path, data in self._files.items() if name.encode() in data]


def between(ours: Files, theirs: Files, base: Files | None = None) -> list[SemanticConflict]:
    """The conflicts of two sides that change some files of the base, with themselves as landed."""
    whole = {path: text.encode() for path, text in {**BASE, **(base or {})}.items() if text is not None}
    paths = {*ours, *theirs}

    def side(changes: Files) -> dict[str, bytes | None]:
        new = {path: None if text is None else text.encode() for path, text in changes.items()}
        return {path: new.get(path, whole.get(path)) if path not in new else new[path] for path in paths}

    return conflicts(side({}), side(ours), side(theirs), Base(whole))


def kinds(found: list[SemanticConflict]) -> list[str]:
    return [each.kind for each in found if each.provable]


def tools(*pairs: str) -> Files:
    """The tools with words replaced: before, after, before, after …"""
    text = BASE["app/tools.py"] or ""
    for before, after in zip(pairs[::2], pairs[1::2], strict=True):
        assert before in text
        text = text.replace(before, after)
    return {"app/tools.py": text}


USES = {"app/main.py": "from app.tools import price\n\n\ndef main():\n    return price(1, 2)\n"}
WITHOUT_PRICE = tools("def price(item, count):\n    return item * count\n", "")
USES_BOX = {"app/main.py": "from app.tools import Box\n\nb = Box(1)\n"}
SHRINK = tools("        return by\n", "        return by\n\n    def shrink(self, by):\n        return self._add(-by)\n")
ADD_TIMES = tools("def _add(self, by)", "def _add(self, by, times)", "self._add(by)", "self._add(by, 1)")


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("uses", "changes", "kind"),
    [
        (USES, WITHOUT_PRICE, "import"),
        (USES, tools("def price(", "def cost("), "import"),
        (USES, {"app/tools.py": None}, "import"),
        (USES, {"app/tools.py": None, "app/kit.py": BASE["app/tools.py"]}, "import"),
        ({"app/main.py": "from .tools import price\n"}, WITHOUT_PRICE, "import"),
        ({"app/main.py": "def main():\n    from . import tools\n"}, {"app/tools.py": None}, "import"),
        ({"app/main.py": "import app.tools\n"}, {"app/tools.py": None}, "import"),
        (USES, tools("item, count", "item, count, rate"), "arity"),
        (USES, tools("item, count", "item"), "arity"),
        (USES, tools("item, count", "item, *, count"), "arity"),
        ({"app/main.py": "from app import tools\n\ntools.price(1, 2)\n"}, tools("item, count", "item"), "arity"),
        ({"app/main.py": "import app.tools\n\napp.tools.price(1, 2)\n"}, tools("item, count", "item"), "arity"),
        ({"app/main.py": "import app.tools as t\n\nt.price(1, count=2)\n"}, tools("count", "times"), "arity"),
        (
            {"app/main.py": "from app.tools import price\n\nprice(1, count=2)\n"},
            tools("item, count", "count, item"),
            "arity",
        ),
        (USES_BOX, tools("self, size)", "self, a, size)"), "arity"),
        (
            {"app/main.py": "def main():\n    from app.tools import price as p\n    return [p(1, 2) for x in ()]\n"},
            tools("item, count", "item"),
            "arity",
        ),
        (SHRINK, ADD_TIMES, "arity"),
    ],
)
def test_what_is_provable(uses: Files, changes: Files, kind: str, swapped: bool) -> None:
    found = between(changes, uses) if swapped else between(uses, changes)
    assert kinds(found) == [kind]
    (conflict,) = (each for each in found if each.provable)
    assert (conflict.user, conflict.changer) == (("theirs", "ours") if swapped else ("ours", "theirs"))
    assert conflict.path in uses and conflict.line >= 1


@pytest.mark.parametrize(
    ("uses", "changes"),
    [
        # It is still there, or may be.
        (USES, tools("item, count", "item, count, rate=1")),
        (USES, tools("item, count", "item, count=1")),
        (USES, tools("item, count", "*args")),
        (USES, {**WITHOUT_PRICE, "app/tools.py": f"{WITHOUT_PRICE['app/tools.py']}\nfrom .more import *\n"}),
        (USES, {**WITHOUT_PRICE, "app/tools.py": f"{WITHOUT_PRICE['app/tools.py']}\nglobals().update(price=1)\n"}),
        (USES, {**WITHOUT_PRICE, "app/tools.py": f"{WITHOUT_PRICE['app/tools.py']}\nif 1:\n    price = max\n"}),
        (USES, {**WITHOUT_PRICE, "app/tools.py": f"{WITHOUT_PRICE['app/tools.py']}\ndef __getattr__(n): ...\n"}),
        (USES, {"app/tools.py": None, "app/tools/__init__.py": "from .price import price\n"}),
        (USES, {"app/tools.py": None, "app/tools.pyx": "def price(a, b): ...\n"}),
        (USES, {"app/tools.py": None, "app/tools/a.txt": ""}),
        # It is not certain what is called.
        (USES, tools("def price(item, count)", "@wrapped\ndef price(item)")),
        (USES, tools("def price(item, count):\n    return item * count\n", "if 1:\n    def price(item): ...\n")),
        (USES, tools("    return item * count\n", "    return item * count\n\n\nprice = print\n")),
        (USES, tools("def price(item, count)", "def price(item): ...\n\n\ndef price(item, *count)")),
        (
            {"app/main.py": "from app.tools import price\n\n\ndef main(price):\n    return price(1, 2)\n"},
            tools("item, count", "item"),
        ),
        (
            {"app/main.py": "from app.tools import price\n\nprice = max\n\n\ndef main():\n    return price(1, 2)\n"},
            tools("item, count", "item"),
        ),
        (
            {"app/main.py": "try:\n    from app.tools import price\nexcept ImportError:\n    price = max\n"},
            WITHOUT_PRICE,
        ),
        (
            {"app/main.py": "import app.tools\n\nif hasattr(app.tools, 'x'):\n    from app.tools import price\n"},
            WITHOUT_PRICE,
        ),
        (
            {"app/main.py": "with suppress(ImportError):\n    from app.tools import price\n"},
            WITHOUT_PRICE,
        ),
        (
            {
                "app/main.py": "import pytest\nfrom app.tools import price\n\n\ndef test():\n"
                "    with pytest.raises(TypeError):\n        price(1, 2)\n"
            },
            tools("item, count", "item"),
        ),
        ({"app/main.py": "from app.tools import price\n\nprice(*[1, 2])\n"}, tools("item, count", "item")),
        ({"app/main.py": "from app.tools import price\n\nprice(1, **{})\n"}, tools("item, count", "item")),
        ({"app/main.py": "def main(box):\n    box.grow(1)\n"}, tools("def grow(self, by)", "def grow(self)")),
        (USES_BOX, tools("class Box:", "@dataclass\nclass Box:", "self, size)", "self, a, size)")),
        (USES_BOX, tools("class Box:", "class Box(Base):", "self, size)", "self, a, size)")),
        (
            USES_BOX,
            tools("class Box:", "class Box:\n    def __new__(cls, *args): ...\n", "self, size)", "self, a, size)"),
        ),
        ({"app/main.py": "if 1:\n    from app.tools import price\nprice(1, 2)\n"}, tools("item, count", "item")),
        (
            tools(
                "    def grow(",
                "    def shrink(self):\n        def price(a, b): ...\n        price(1, 2)\n\n    def grow(",
            ),
            tools("item, count", "item"),
        ),
        (
            {"app/main.py": "from app.tools import price\nfrom os import *\n\nprice(1, 2)\n"},
            tools("item, count", "item"),
        ),
        (
            {"app/main.py": "from app import tools\n\nif hasattr(tools, 'old'):\n    tools.price(1, 2)\n"},
            tools("item, count", "item"),
        ),
        # The standard library, or somebody else's.
        ({"app/main.py": "from json import price\n"}, {"json.py": None}),
        ({"app/main.py": "from tools import price\n"}, WITHOUT_PRICE),
        # It was broken before, or is by one side alone.
        ({"app/main.py": "from app.tools import nothing\n"}, WITHOUT_PRICE),
        ({"app/main.py": "from app.tools import price\n\nprice(1, 2, 3)\n"}, tools("item, count", "item")),
        (USES, {**WITHOUT_PRICE, "app/other.py": "from app.tools import price\n"}),
        (USES, {**WITHOUT_PRICE, **USES}),
        (USES, {**tools("item, count", "item"), "app/main.py": f"{USES['app/main.py']}\n\nx = 1\n"}),
        ({"app/main.py": "from kit import price\n"}, {"data/kit.py": None}),
        ({**USES, **WITHOUT_PRICE}, {"app/other.py": "x = 1\n"}),
    ],
)
def test_what_is_not_provable(uses: Files, changes: Files) -> None:
    base: Files = {"json.py": "price = 1\n", "data/kit.py": "price = 1\n"}
    assert kinds(between(uses, changes, base)) == []


def test_self_may_be_another_class() -> None:
    other: Files = {"app/sub.py": "Box = 1\n"}
    derived: Files = {"app/sub.py": "from app.tools import Box\n\n\nclass Sub(Box):\n    pass\n"}
    renamed: Files = {"app/sub.py": "from app.tools import Box as B\n\n\nclass Sub(B):\n    pass\n"}
    assert kinds(between(SHRINK, ADD_TIMES, other)) == ["arity"]
    assert kinds(between(SHRINK, ADD_TIMES, derived)) == kinds(between(SHRINK, ADD_TIMES, renamed)) == []


def test_a_module_that_could_be_either_of_two_is_none() -> None:
    twice: Files = {"vendor/app/tools.py": "def price(): ...\n"}
    assert kinds(between(USES, WITHOUT_PRICE)) == ["import"]
    assert kinds(between(USES, WITHOUT_PRICE, twice)) == []


@pytest.mark.parametrize(
    ("path", "around", "between", "helper"),
    [
        ("a.py", "%s", "x = 1\n", "def f(): ...\n"),
        ("a.py", "class A:\n%s", "    x = 1\n", "    def f(self): ...\n"),
        ("a.js", "%s", "let x\n", "function f() {}\n"),
        ("a.go", "package a\n%s", "var x int\n", "func f() {}\n"),
        ("A.java", "class A {\n%s}\n", "  int x;\n", "  void f(int a) {}\n"),
    ],
)
def test_a_definition_that_only_both_make_twice(path: str, around: str, between: str, helper: str) -> None:
    base, ours, theirs, both = (
        {path: (around % text).encode()}
        for text in (between, helper + between, between + helper, helper + between + helper)
    )
    found = conflicts(base, ours, theirs, None, both)
    assert kinds(found) == ["duplicate"]
    assert found[0].line == both[path].count(b"\n", 0, both[path].rindex(b"f(")) + 1


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        ("a.py", "@overload\ndef f(a: int): ...\n", "@overload\ndef f(a: str): ...\n"),
        ("a.py", "def _(): ...\n", "def _(): ...\n"),
        ("a.py", "X = 1\n", "X = 1\n"),
        ("a.ts", "function f(a: number): void\n", "function f(a: string): void\n"),
        ("a.go", "package a\nfunc init() {}\n", "func init() {}\n"),
        ("a.rs", "#[cfg(unix)]\nfn f() {}\n", "#[cfg(windows)]\nfn f() {}\n"),
        ("a.rb", "class A\n  def f; end\nend\n", "class A\n  def self.f; end\nend\n"),
        ("a.ts", "interface I { a: string }\n", "interface I { b: string }\n"),
        ("A.java", "class A { void f(int a) {} }\n", "class B { void f(int a) {} }\n"),
        ("a.rs", "impl A { fn f() {} }\n", "impl B { fn f() {} }\n"),
        ("a.rb", "class A\n  def f; end\nend\n", "class A\n  def g; end\nend\n"),
        ("a.c", "int f(int);\n", "int f(int);\n"),
        ("a.c", "#ifdef A\nint f(int a) { return 1; }\n#endif\n", "#ifndef A\nint f(int a) { return 2; }\n#endif\n"),
        ("a.cs", "partial class A { }\n", "partial class A { }\n"),
    ],
)
def test_what_may_be_there_twice(path: str, one: str, other: str) -> None:
    base, ours, theirs, both = ({path: text.encode()} for text in ("", one, other, one + other))
    assert kinds(conflicts(base, ours, theirs, None, both)) == []


def test_what_was_there_twice_before_is_nobodys_doing() -> None:
    twice = "def f(): ...\ndef f(): ...\n"
    texts = (twice, f"x = 1\n{twice}", f"{twice}y = 1\n", f"x = 1\n{twice}y = 1\n")
    base, ours, theirs, both = ({"a.py": text.encode()} for text in texts)
    assert kinds(conflicts(base, ours, theirs, None, both)) == []


def test_accessors_and_what_is_static_have_a_name_for_themselves() -> None:
    one, two = "get x() { return 1 }\n", "set x(v) { }\nstatic x() { }\n"
    base, ours, theirs, both = ({"a.js": f"class A {{\n{text}}}\n".encode()} for text in ("", one, two, one + two))
    assert kinds(conflicts(base, ours, theirs, None, both)) == []


def test_an_error_of_syntax_that_neither_side_has() -> None:
    for path, ours, theirs, both, line in [
        ("a.py", b"x = (\n1)\n", b"y = 1\n", b"y = 1\nx = (\n", 2),
        ("a.py", b"def f(a): ...\n", b"def f(b, a=1): ...\n", b"def f(a, b, a=1): ...\n", 1),
        ("a.go", b"package a\nfunc f() {}\n", b"package a\nvar y int\n", b"package a\nfunc f() {\nvar y int\n", 1),
    ]:
        found = conflicts({path: b""}, {path: ours}, {path: theirs}, None, {path: both})
        assert [(each.kind, each.line) for each in found if each.provable] == [("parse", line)]
        for sides in ((ours, both), (both, theirs)):
            one, two = ({path: side} for side in sides)
            assert kinds(conflicts({path: b""}, one, two, None, {path: both + b"\n"})) == []


def test_what_does_not_merge_is_left_to_others() -> None:
    ours: Files = {"app/tools.py": "def price():\n    return 1\n", "app/main.py": "from app.tools import price\n"}
    assert kinds(between(ours, {"app/tools.py": "def price():\n    return 2\n"})) == []


def notices(found: list[SemanticConflict]) -> list[tuple[str, str, str, str]]:
    assert not kinds(found)
    return [(each.kind, each.symbol, each.path, each.user) for each in found]


def test_notices_tell_the_later_writer() -> None:
    uses: Files = {"app/main.py": "from app.tools import price\n\n\ndef main(items):\n    return price(*items)\n"}
    changed = between(uses, tools("item, count", "item, count, rate"))
    assert notices(changed) == [("signature", "price", "app/main.py", "ours")]
    assert "main in app/main.py mentions price" in changed[0].message
    method: Files = {"app/main.py": "from app.tools import Box\n\n\ndef main(box: Box):\n    return box.grow(1)\n"}
    removed = between(tools("def grow(", "def widen("), method)
    assert notices(removed) == [("removed", "Box.grow", "app/main.py", "theirs")]
    assert removed[0].message.endswith("it is called Box.widen now")
    assert (
        notices(between({"app/main.py": "def main(box):\n    return box.grow(1)\n"}, tools("def grow(", "def w(")))
        == []
    )


def test_no_notice_where_there_is_nothing_to_look_at() -> None:
    before: Files = {"app/main.py": "from app.tools import price\n\n\ndef main():\n    return price(*())\n"}
    edited: Files = {"app/main.py": (before["app/main.py"] or "").replace("return", "yield")}
    assert notices(between(edited, WITHOUT_PRICE, before)) == []  # who removed it has this user to look after too
    loop: Files = {"app/loop.py": "def loop(a):\n    b = 1\n    if a:\n        loop(*a)\n    return b\n"}
    inner: Files = {"app/loop.py": (loop["app/loop.py"] or "").replace("b = 1", "b = 2")}
    outer: Files = {"app/loop.py": (loop["app/loop.py"] or "").replace("loop(a)", "loop(a, c=1)")}
    assert notices(between(inner, outer, loop)) == []  # one unit, which the merge looks at
    box: Files = {"app/main.py": "from app.tools import Box\n\n\ndef main(box: Box):\n    box.update(*())\n"}
    common = BASE["app/tools.py"] or ""
    update: Files = {"app/tools.py": common.replace("def grow", "def update")}
    changed: Files = {"app/tools.py": common.replace("def grow(self, by)", "def update(self, by, more)")}
    assert notices(between(box, changed, update)) == []  # every other class has such a method


def test_notices_of_what_both_added() -> None:
    one: Files = {
        "app/a.py": "def slugify(text):\n    low = text.lower()\n    return low.strip()\n\n\ndef run(): ...\n"
    }
    same_name: Files = {"app/b.py": "def slugify(s):\n    return s\n\n\ndef run(): ...\n"}
    assert notices(between(one, same_name)) == [("twice", "slugify", "app/a.py", "both")]
    assert notices(between(one, {"app/b.py": "def test_slugify(): ...\n"})) == []
    assert notices(between({**one, **same_name}, {**one, **same_name})) == []


def test_notices_in_other_languages() -> None:
    base: Files = {"a/util.ts": "export function pick(x: number) {\n  return x\n}\n", "a/use.ts": "let a = 1\n"}
    uses: Files = {"a/use.ts": 'import { pick } from "./util"\nlet a = pick(1)\n'}
    change: Files = {"a/util.ts": "export function pick(x: number, y: number) {\n  return x\n}\n"}
    assert notices(between(uses, change, base)) == [("signature", "pick", "a/use.ts", "ours")]
    assert notices(between({"a/use.ts": 'let a = "pick"\n'}, change, base)) == []


class Unlisted:
    """A base of which nobody may ask what files it has."""

    @property
    def paths(self) -> Collection[str]:
        raise LookupError

    def read(self, path: str) -> bytes | None:
        raise LookupError

    def mentioning(self, name: str) -> Iterable[str]:
        raise LookupError


def test_the_base_is_listed_only_where_something_new_is_used() -> None:
    base = {"a.py": b"import b\n\n\ndef f():\n    return b.g(1)\n", "b.py": b"def g(x):\n    return x\n"}
    ours = {**base, "a.py": base["a.py"] + b"\n\ndef h():\n    return 2\n"}
    theirs = {**base, "b.py": b"def g(x):\n    return -x\n"}
    assert conflicts(base, ours, theirs, Unlisted()) == []
    ours["a.py"] += b"    return b.g(1, 2)\n"
    with pytest.raises(LookupError):
        conflicts(base, ours, theirs, Unlisted())


@pytest.mark.parametrize("name", ["psycopg", "rich"])
def test_correct_code_is_never_blocked(name: str) -> None:
    """As if all definitions and all their uses were new; the benchmark does this to far more code."""
    files = package(name)
    for versions in (imports_are_new(files), calls_are_new(files)):
        assert [each.message for each in broken(versions, standard=frozenset())] == []


def test_the_checks_look_at_something() -> None:
    """That nothing is found in correct code says little, unless what is wrong would be found there."""
    files = package("rich")
    path = "rich/cells.py"
    wrong = files[path].replace(b"def cell_len(", b"def cell_len(added, more, ", 1)
    assert wrong != files[path]
    versions = structs.replace(calls_are_new(files), combined={**files, path: wrong})
    found = list(broken(versions, standard=frozenset()))
    assert {each.symbol for each in found} == {"cell_len"}
    assert len({each.path for each in found}) > 3


def test_seeded_conflicts_are_found_and_nothing_else() -> None:
    files = {path: data for path, data in package("rich").items() if "_" not in path}
    wrong = []
    for seed in seeds(files, 4):
        given = seed.combined if seed.kind == "duplicate" else None
        found = kinds(conflicts(seed.base, seed.ours, seed.theirs, None, given))
        if found != ([seed.kind] if seed.kind else []):
            wrong.append((seed.name, seed.target.path, seed.target.name, found))
    assert wrong == []
