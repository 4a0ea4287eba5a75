"""What went wrong in a system that kept files as rows of symbols, one by one, and does not here.

The numbers are those of the observed defects in the inventory of that system, sections 2.5 and 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from intarsia.errors import Held, InputError, NotFound
from intarsia.kernel import Database
from intarsia.kernel.overlap import Arbiter, Overlapping
from intarsia.workspace.edits import Delete, Write, exchange, import_of, insertion
from intarsia.workspace.joining import Overlap
from intarsia.workspace.repository import Repository
from intarsia.workspace.shared import Shared
from tests.support.sandbox import Sandbox
from tests.support.shared_place import Place

GUARDED = b'def f():\n    return 1\n\n\nif __name__ == "__main__":\n    f()\n'
CLASS = (
    b"class Cache:\n    size = 3\n\n    def get(self, key):\n        return None\n\n"
    b"    def put(self, key):\n        pass\n"
    b"\n\nclass Repo:\n    def get(self, key):\n        return key\n"
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, main_py=GUARDED, cls_py=CLASS)


def test_2_5_a_new_function_stands_before_the_main_guard(place: Place) -> None:
    place.session("s-1").apply("main.py", insertion(b"def g():\n    return 2\n", "after", "f"))
    text = place.text("main.py")
    assert text.index(b"def g") < text.index(b"if __name__")
    compile(text, "main.py", "exec")


def test_2_5_a_new_method_is_in_its_class(place: Place) -> None:
    place.session("s-1").apply("cls.py", insertion(b"    def drop(self):\n        pass\n", "after", "Cache.get"))
    names: dict[str, type] = {}
    exec(place.text("cls.py"), names)
    assert hasattr(names["Cache"], "drop") and "drop" not in names


def test_2_5_a_class_that_is_written_whole_has_no_second_methods(place: Place) -> None:
    old = CLASS[: CLASS.index(b"\n\nclass Repo")]
    new = b"class Cache:\n    def get(self, key):\n        return 'new'\n"
    place.session("s-1").apply("cls.py", exchange(old, new))
    assert place.text("cls.py").count(b"def get(self, key)") == 2
    assert b"def put" not in place.text("cls.py") and b"return None" not in place.text("cls.py")


def test_2_5_the_shell_of_a_class_can_be_edited(place: Place) -> None:
    place.session("s-1").apply("cls.py", exchange(b"class Repo:\n", b'class Repo(Base):\n    """Doc."""\n\n'))
    assert b'class Repo(Base):\n    """Doc."""\n\n    def get' in place.text("cls.py")


def test_2_5_a_method_with_a_string_in_the_first_column_stays_where_it_is(tmp_path: Path) -> None:
    code = b'class C:\n    def m(self):\n        return """\nfirst column\n"""\n\n    def n(self):\n        return 1\n'
    place = Place(tmp_path, a_py=code)
    one, two = place.session("s-1"), place.session("s-2")
    two.read("a.py")
    one.apply("a.py", exchange(b"first column\n", b"first column, changed\n"))
    two.apply("a.py", Write(code.replace(b"return 1", b"return 2")))
    assert place.text() == code.replace(b"first column\n", b"first column, changed\n").replace(b"return 1", b"return 2")


def test_2_5_what_was_deleted_or_renamed_does_not_come_back_with_a_stale_writer(place: Place) -> None:
    one, two = place.session("s-1"), place.session("s-2")
    seen = two.read("cls.py") or b""
    one.apply("cls.py", exchange(b"    def put(self, key):\n        pass\n", b""))
    one.apply("cls.py", exchange(b"class Repo:", b"class Store:"))
    two.apply("cls.py", Write(seen.replace(b"return None", b"return 7")))
    text = place.text("cls.py")
    assert b"def put" not in text and b"class Repo" not in text
    assert text.count(b"class Store:") == 1 and b"return 7" in text


def test_2_5_imports_are_no_hot_lock(place: Place) -> None:
    asked: list[Mapping[str, str]] = []

    def ask(needs: Mapping[str, str]) -> str:
        asked.append(dict(needs))
        return ""

    for number in range(3):
        place.session(f"s-{number}", ask).apply("main.py", import_of(b"import m%d" % number))
    assert asked == [{"code:main.py": "imports"}] * 3
    assert place.text("main.py").count(b"import m") == 3


@pytest.mark.parametrize("name", ["notes.md", "data.ipynb", "a.pyi", "x.unknown", "Makefile", "image.bin"])
def test_2_5_any_file_can_be_made_changed_moved_and_deleted(place: Place, name: str) -> None:
    session = place.session("s-1")
    session.apply(name, Write(b"\x00one\ntwo\n" if name == "image.bin" else b"one\ntwo\n"))
    session.apply(name, exchange(b"two", b"three"))
    session.move(name, f"moved/{name}")
    assert place.text(f"moved/{name}").endswith(b"one\nthree\n")
    session.apply(f"moved/{name}", Delete())
    assert not (place.root / "moved" / name).exists() and not (place.root / name).exists()


def test_2_5_code_that_the_user_removed_between_sessions_stays_removed(place: Place) -> None:
    first = place.session("s-1")
    first.read("cls.py")
    first.apply("cls.py", exchange(b"size = 3", b"size = 4"))
    (place.root / "cls.py").write_bytes(place.text("cls.py").replace(b"\n    def put(self, key):\n        pass\n", b""))
    place.session("s-2").apply("cls.py", exchange(b"return key", b"return [key]"))
    assert b"def put" not in place.text("cls.py")


def test_2_5_what_the_user_changed_in_a_file_that_a_session_wrote_is_not_overwritten(place: Place) -> None:
    session = place.session("s-1")
    session.apply("new.py", Write(b"def a():\n    return 1\n\n\ndef b():\n    return 1\n"))
    mine = b"def a():\n    return 'mine'\n\n\ndef b():\n    return 1\n"
    (place.root / "new.py").write_bytes(mine)
    session.apply("new.py", Write(b"def a():\n    return 1\n\n\ndef b():\n    return 2\n"))
    assert place.text("new.py") == mine.replace(b"return 1", b"return 2")


def test_2_5_two_kernels_on_one_tree_see_what_the_other_did(place: Place) -> None:
    other = Shared(place.open(), "s-2", lambda needs: "")
    one = place.session("s-1")
    seen = [session.read("cls.py") or b"" for session in (one, other)]
    one.apply("cls.py", Write(seen[0].replace(b"return None", b"return 1")))
    other.apply("cls.py", Write(seen[1].replace(b"return key", b"return 2")))
    assert b"return 1" in place.text("cls.py") and b"return 2" in place.text("cls.py")


def test_2_5_two_projects_know_nothing_of_each_other(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Place(tmp_path / "other", cls_py=b"x = 1\n")
    place.session("s-1").read("main.py")
    assert other.tree.versions.seen("s-1", "main.py") is None
    assert other.session("s-1").read("main.py") is None


def test_2_5_what_a_session_saw_is_known_to_the_next_process(place: Place) -> None:
    seen = place.session("s-1").read("cls.py") or b""
    place.session("s-2").apply("cls.py", exchange(b"size = 3", b"size = 4"))
    place.tree.versions.close()
    later = Shared(place.open(), "s-1", lambda needs: "")
    later.apply("cls.py", Write(seen.replace(b"return key", b"return 2")))
    assert b"size = 4" in place.text("cls.py") and b"return 2" in place.text("cls.py")


def test_12_2_an_unknown_symbol_is_refused_and_never_taken_for_another(place: Place) -> None:
    for symbol in ("Cach", "Cache.gett", "get", "Repo.put"):
        with pytest.raises(NotFound):
            place.session("s-1").apply("cls.py", insertion(b"    x = 1\n", "after", symbol))
    assert place.text("cls.py") == CLASS


def test_12_5_who_reads_and_thinks_holds_nothing(place: Place) -> None:
    def refuse(needs: Mapping[str, str]) -> str:
        raise AssertionError(f"asked for {needs}")

    place.session("s-1", refuse).read("cls.py")


def test_12_7_what_was_refused_is_refused_again(place: Place) -> None:
    one, two = place.session("s-1"), place.session("s-2")
    seen = two.read("cls.py") or b""
    one.apply("cls.py", exchange(b"return key", b"return 1"))
    for _ in range(2):
        with pytest.raises(Overlap):
            two.apply("cls.py", Write(seen.replace(b"return key", b"return 2")))
    assert b"return 1" in place.text("cls.py")


def test_12_9_one_edit_changes_no_other_line(tmp_path: Path) -> None:
    ugly = b"x=1;y =2\r\ndef  f( a,b ):\r\n\treturn( a+b )\r\n\r\n\r\n\r\nz = '\\x41'   # trailing  \r\n"
    place = Place(tmp_path, a_py=ugly)
    place.session("s-1").apply("a.py", exchange(b"a+b", b"a-b"))
    assert place.text() == ugly.replace(b"a+b", b"a-b")


def test_12_10_a_file_is_not_deleted_under_who_holds_a_symbol_of_it(place: Place, database: Database) -> None:
    def session(name: str) -> Shared:
        asked = Arbiter(database, name, "refuse")

        def ask(needs: Mapping[str, str]) -> str:
            asked.require(needs)  # type: ignore[arg-type]
            return ""

        return place.session(name, ask)

    session("s-1").apply("cls.py", exchange(b"return key", b"return 1"))
    session("s-1").apply("cls.py", exchange(b"return 1", b"return 2"))
    for change in (Delete(), exchange(b"class Repo:", b"class Store:")):
        with pytest.raises(Overlapping):
            session("s-2").apply("cls.py", change)
    session("s-2").apply("cls.py", exchange(b"return None", b"return 0"))
    assert issubclass(Overlapping, Held)


def test_12_12_nothing_that_the_user_has_staged_is_committed(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[workspace]\nkind = 'shared'\n", "Configure")
    sandbox.write("mine.txt", "mine\n")
    sandbox.git("add", "mine.txt")
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": [[{"write": "made.txt", "text": "x\n"}, {"commit": "Make"}]]})
    sandbox.ok("run", "--agent", agent)
    assert sandbox.git("show", "--format=", "--name-only", "HEAD") == "made.txt"
    assert sandbox.git("status", "--short") == "A  mine.txt"
    assert not list(sandbox.root.glob("*/.git"))


def test_12_12_the_state_is_that_of_the_repository_wherever_one_stands(sandbox: Sandbox) -> None:
    (sandbox.root / "deep" / "er").mkdir(parents=True)
    assert Repository.discover(sandbox.root / "deep" / "er").state == sandbox.root / ".intarsia"


@pytest.mark.parametrize(
    "data",
    [b"x = 'caf\xe9'\n", b"a = 1\x0c\nb = 2\n", b"def broken(:\n", b"\xff\xfeb\x00a\x00d\x00", b"", b"\n\n\n"],
    ids=["latin-1", "form feed", "unparseable", "UTF-16", "empty", "blank lines"],
)
def test_12_14_any_bytes_are_kept(tmp_path: Path, data: bytes) -> None:
    place = Place(tmp_path, a_py=data)
    session = place.session("s-1")
    assert session.read("a.py") == data
    session.apply("a.py", Write(data + b"# more\n"))
    assert place.text() == data + b"# more\n"
    session.apply("a.py", exchange(b"# more\n", b""))
    assert place.text() == data == place.own("s-1")


def test_12_14_a_text_without_a_match_changes_nothing(place: Place) -> None:
    with pytest.raises(InputError):
        place.session("s-1").apply("cls.py", exchange(b"no such text", b"x"))
    assert place.text("cls.py") == CLASS
