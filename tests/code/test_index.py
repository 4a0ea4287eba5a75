"""The index of names: who defines, who mentions; always the same whatever is in the store."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from intarsia.code.names.index import Index, Refreshed
from intarsia.code.names.store import KEEP_DAYS

MODULE = b'''"""Says helper in its docstring, and means nothing by it."""
# helper, in a comment
import os


def helper(path):
    return os.stat(path)


class Box:
    size = 1

    def grow(self, by):
        return helper(by)
'''
USER = b"""from pkg.module import Box, helper

def uses(box: Box):
    box.grow(1)
    return f"{helper(box)!r} and not {{Box}}"


def says(grow):
    return "helper" + grow
"""
STRANGER = b"def other(box):\n    helper = box.grow\n    return helper\n"
# Imports something of the same name, and something else of the same package.
NAMESAKE = (
    b"from elsewhere.tools import helper\nfrom pkg.other import thing\n\n\ndef mine():\n    return helper(thing)\n"
)
FILES = {
    "pkg/__init__.py": b"",
    "pkg/module.py": MODULE,
    "pkg/user.py": USER,
    "stranger.py": STRANGER,
    "namesake.py": NAMESAKE,
}


class Place:
    """Files to index, and how often each was read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.read: list[str] = []

    def ids(self) -> list[tuple[str, str]]:
        return [(path, hashlib.sha1(data).hexdigest()) for path, data in self.files.items()]

    def reader(self, path: str) -> bytes | None:
        self.read.append(path)
        return self.files.get(path)

    def into(self, index: Index) -> Refreshed:
        return index.refresh(self.ids(), self.reader)


def indexed(files: dict[str, bytes], directory: Path | None = None) -> Index:
    index = Index(directory)
    Place(files).into(index)
    return index


def keys(index: Index, name: str) -> list[tuple[str, str]]:
    return [(place.path, place.key) for place in index.mentions(name)]


def answers(index: Index, names: list[str]) -> list[object]:
    return [(index.definitions(name), index.mentions(name)) for name in names]


def test_definitions_have_their_place() -> None:
    index = indexed(FILES)
    (helper,) = index.definitions("helper")
    assert (helper.path, helper.key, helper.line, helper.last) == ("pkg/module.py", "helper", 6, 7)
    assert helper.uri == "code:pkg/module.py#helper"
    assert [place.key for place in index.definitions("Box.grow")] == ["Box.grow"]
    assert index.definitions("Other.grow") == index.definitions("nowhere") == []


def test_a_mention_is_code_of_a_file_that_imports_the_name() -> None:
    index = indexed(FILES)
    assert keys(index, "helper") == [
        ("pkg/module.py", "Box.grow"),
        ("pkg/user.py", "import pkg.module"),
        ("pkg/user.py", "uses"),
    ]


def test_a_method_is_mentioned_behind_a_dot() -> None:
    assert keys(indexed(FILES), "Box.grow") == [("pkg/user.py", "uses")]


def test_what_is_not_defined_is_mentioned_by_whoever_has_the_word() -> None:
    assert keys(indexed(FILES), "stat") == [("pkg/module.py", "helper")]
    assert indexed(FILES).mentioning("grow") == ["pkg/module.py", "pkg/user.py", "stranger.py"]


def test_what_a_unit_depends_on() -> None:
    index = indexed(FILES)
    found = {(place.path, place.key) for place in index.depends("pkg/user.py", "uses")}
    assert found == {("pkg/module.py", "Box"), ("pkg/module.py", "Box.grow"), ("pkg/module.py", "helper")}
    assert [place.key for place in index.depends("pkg/module.py", "Box")] == ["helper"]


@pytest.mark.parametrize(
    ("files", "name", "expected"),
    [
        (
            {
                "a/util.ts": b"export function pick(x: number) { return x }\n",
                "a/use.ts": b'import { pick } from "./util";\nexport const y = () => `${pick(1)} // pick`;\n',
                "a/not.ts": b'function y() { return pick }\n// pick\nfunction z() { return "pick" }\n',
            },
            "pick",
            [("a/use.ts", "import ./util"), ("a/use.ts", "y")],
        ),
        (
            {
                "go.mod": b"module x\n",
                "store/store.go": b"package store\n\nfunc Open(p string) int { return 1 }\n",
                "store/more.go": b"package store\n\nfunc Twice() int { return Open(`Open`) }\n",
                "main.go": b'package main\n\nimport "x/store"\n\nfunc main() { store.Open("a") }\n',
                "other/o.go": b"package other\n\nfunc f() { s.Open() }\n",
            },
            "Open",
            [("main.go", "main"), ("store/more.go", "Twice")],
        ),
        (
            {
                "src/com/a/Tool.java": b"package com.a;\n"
                b"class Tool { int use(int a) { return 1; } int own() { return use(1); } }\n",
                "src/com/b/Main.java": b"package com.b;\nimport com.a.Tool;\n"
                b'class Main { int m(Tool t) { return t.use(1) /* .use */ + "t.use"; } }\n',
                "src/com/d/Own.java": b"package com.d;\nimport com.a.Tool;\nclass Own { int m() { return use(1); } }\n",
                "src/com/c/No.java": b"package com.c;\nclass No { int n(X t) { return t.use(1); } }\n",
            },
            "Tool.use",
            [("src/com/a/Tool.java", "Tool.own"), ("src/com/b/Main.java", "Main.m")],
        ),
        (
            {
                "src/parse.rs": b"pub fn scan<'a>(x: &'a str) -> &'a str { x }\n",
                "src/main.rs": b"use crate::parse::scan;\nfn main() { scan(\"scan\"); }\nfn no() { let c = 'x'; }\n",
            },
            "scan",
            [("src/main.rs", "main")],
        ),
        (
            {"lib/a.rb": b"class A\n  def run_it; end\nend\n", "b.rb": b"def go\n  A.new.run_it # no\nend\n"},
            "A.run_it",
            [("b.rb", "go")],
        ),
    ],
    ids=["typescript", "go", "java", "rust", "ruby"],
)
def test_other_languages(files: dict[str, bytes], name: str, expected: list[tuple[str, str]]) -> None:
    found = keys(indexed(files), name)
    assert [each for each in found if not each[1].startswith(("import", "use"))] == [
        each for each in expected if not each[1].startswith("import")
    ]


def test_only_what_changed_is_read(tmp_path: Path) -> None:
    place = Place(FILES)
    assert place.into(Index(tmp_path)) == Refreshed(files=5, read=5, units=13, lines=32)
    place.read.clear()
    again = Index(tmp_path)
    assert place.into(again).read == 0
    assert place.read == []
    place.files["stranger.py"] = b"def other():\n    return helper()\n"
    assert place.into(again).read == 1
    assert place.read == ["stranger.py"]


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    index = indexed(FILES, tmp_path)
    index.change("stranger.py", "new", b"from pkg.module import helper\nhelper(1)\n")
    assert ("stranger.py", "(call)") in keys(index, "helper")
    index.refresh(Place(FILES).ids(), FILES.get)
    assert "stranger.py" not in {path for path, _ in keys(index, "helper")}


def test_files_that_are_gone_or_unreadable_are_left_out(tmp_path: Path) -> None:
    index = Index(tmp_path)
    files = [*Place(FILES).ids(), ("gone.py", "0" * 40), ("logo.png", "1" * 40)]
    done = index.refresh(files, FILES.get)
    assert done.files == 5
    assert "gone.py" in index.paths  # it is listed, though nothing is known of it
    index.refresh([each for each in Place(FILES).ids() if each[0] != "pkg/user.py"], FILES.get)
    assert keys(index, "helper") == [("pkg/module.py", "Box.grow")]


def test_broken_and_odd_files_are_indexed_too() -> None:
    odd = {
        "broken.py": b"def broken(:\n  helper(\n\ndef whole():\n    return helper()\n",
        "latin.py": b"# coding: latin-1\ndef caf\xe9(): pass\n",
        "nul.py": b"def nul():\0 pass\n",
        "empty.py": b"",
        "crlf.py": b"def crlf():\r\n    return 1\r\n",
    }
    index = indexed({**FILES, **odd})
    assert [place.key for place in index.definitions("whole")] == ["whole"]
    assert [place.line for place in index.definitions("crlf")] == [1]


def test_any_history_of_changes_ends_like_a_fresh_index(tmp_path: Path) -> None:
    chance = random.Random(7)
    place = Place(FILES)
    index = Index(tmp_path)
    names = ["helper", "Box", "Box.grow", "uses", "extra", "stat"]
    for number in range(60):
        path = chance.choice([*FILES, "new.py", "pkg/sub/deep.py"])
        if chance.random() < 0.3:
            place.files.pop(path, None)
        else:
            lines = chance.choice(list(FILES.values())).splitlines(keepends=True)
            place.files[path] = b"".join(chance.sample(lines, len(lines) // 2)) + b"extra = %d\n" % (number % 3)
        if chance.random() < 0.2:
            index.close()
            index = Index(tmp_path)
        place.into(index)
        assert answers(index, names) == answers(indexed(place.files), names)


def test_processes_share_the_store(tmp_path: Path) -> None:
    """Four at once on an empty directory, each with its own version of one file; all answer right."""
    script = (
        "import sys, hashlib, pathlib\n"
        "from tests.code.test_index import FILES, Place, answers, indexed\n"
        "from intarsia.code.names.index import Index\n"
        "files = {f'{n}/{p}': d for n in range(40) for p, d in FILES.items()}\n"
        "files['own.py'] = b'def own_%s(): return helper()\\n' % sys.argv[2].encode()\n"
        "names = ['helper', 'Box.grow', 'own_' + sys.argv[2], 'own_x']\n"
        "for turn in range(3):\n"
        "    assert answers(indexed(files, pathlib.Path(sys.argv[1])), names) == answers(indexed(files), names)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    running = [subprocess.Popen([*argv, str(n)], stderr=subprocess.PIPE, text=True) for n in range(4)]
    for process in running:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    (path,) = tmp_path.glob("names-*.db")
    with sqlite3.connect(path) as store:
        assert store.execute("SELECT count(*) FROM contents").fetchone() == (len(FILES) + 4,)
    store.close()


MANY = {f"{n}/{path}": data for n in range(30) for path, data in FILES.items()}
NAMES = ["helper", "Box.grow", "stat"]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    path.write_bytes(b"no database at all\n" * 3000)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_others(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as other:
        other.executescript(
            "CREATE TABLE contents (something); CREATE TABLE mentions (else_); PRAGMA user_version = 99"
        )
    other.close()


def scrambled(path: Path) -> None:
    """Damaged in the middle of what is known of the contents."""
    with sqlite3.connect(path) as store:
        store.execute("UPDATE contents SET record = X'93010203'")
    store.close()


@pytest.mark.parametrize("damage", [cut_short, overwritten, emptied, of_others, scrambled])
def test_a_damaged_store_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    place = Place(MANY)
    indexed(MANY, tmp_path).close()
    (path,) = tmp_path.glob("names-*.db")
    damage(path)
    after = Index(tmp_path)
    place.into(after)
    assert answers(after, NAMES) == answers(indexed(MANY), NAMES)
    assert place.into(Index(tmp_path)).read == 0  # and whoever comes next finds it whole


@pytest.mark.parametrize("damage", [cut_short, overwritten])
def test_a_store_damaged_under_its_reader_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    index = indexed(MANY, tmp_path)
    (path,) = tmp_path.glob("names-*.db")
    for log in tmp_path.glob("*-wal"):
        log.unlink()
    damage(path)
    assert answers(index, NAMES) == answers(indexed(MANY), NAMES)


def test_a_directory_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    index = indexed(FILES, tmp_path / "file")
    assert answers(index, ["helper"]) == answers(indexed(FILES), ["helper"])


def test_a_new_beginning_leaves_those_alone_who_have_the_index_open(tmp_path: Path) -> None:
    before = indexed(FILES, tmp_path)
    anew = Index(tmp_path)
    anew.forget()
    place = Place(FILES)
    assert place.into(anew).read == 5
    assert answers(before, ["helper", "Box"]) == answers(anew, ["helper", "Box"])
    assert place.into(Index(tmp_path)).read == 0


def test_what_nobody_used_for_a_week_goes(tmp_path: Path) -> None:
    old = {"old.py": b"def forgotten():\n    return helper()\n"}
    indexed({**FILES, **old}, tmp_path).close()
    (path,) = tmp_path.glob("names-*.db")
    with sqlite3.connect(path) as store:
        store.execute("UPDATE contents SET day = day - ?", [KEEP_DAYS + 1])
        before = store.execute("SELECT count(*) FROM mentions").fetchone()[0]
    index = indexed(FILES, tmp_path)
    with sqlite3.connect(path) as store:
        assert store.execute("SELECT count(*) FROM contents").fetchone() == (5,)
        assert store.execute("SELECT count(*) FROM mentions").fetchone()[0] < before
        assert store.execute(
            "SELECT count(*) FROM definitions WHERE pair & 4294967295 NOT IN (SELECT id FROM contents)"
        ).fetchone() == (0,)
    store.close()
    assert answers(index, ["helper", "Box"]) == answers(indexed(FILES), ["helper", "Box"])
