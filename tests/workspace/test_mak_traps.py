"""What went wrong in a system that kept files as rows of symbols, one by one, and does not here.

The numbers are those of the observed defects in the inventory of that system, sections 2.5 and 12; `TRAPS` tells by
which tests each is shown absent, here and elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from intarsia.code.conflicts.semantic import conflicts
from intarsia.code.names.index import Index
from intarsia.errors import Held, InputError, NotFound
from intarsia.kernel import Database
from intarsia.kernel.overlap import Arbiter, Overlapping
from intarsia.run import edit_tools
from intarsia.workspace.edits import Delete, Write, exchange, import_of, insertion
from intarsia.workspace.joining import Overlap
from intarsia.workspace.repository import Repository
from intarsia.workspace.shared import Shared
from tests.support.sandbox import Sandbox
from tests.support.shared_place import Place

HERE = "workspace/test_mak_traps.py"
TRAPS = {
    "2.5 a new file": [f"{HERE}::test_2_5_any_file_can_be_made_changed_moved_and_deleted"],
    "2.5 a new function lands behind the main guard": [
        f"{HERE}::test_2_5_a_new_function_stands_before_the_main_guard",
        f"{HERE}::test_2_5_functions_of_two_sessions_stand_before_the_main_guard",
    ],
    "2.5 a new method becomes a function": [
        f"{HERE}::test_2_5_a_new_method_is_in_its_class",
        "workspace/test_shared.py::test_a_method_is_not_put_outside_of_its_class",
    ],
    "2.5 of a class that is written whole the old methods win": [
        f"{HERE}::test_2_5_a_class_that_is_written_whole_has_no_second_methods"
    ],
    "2.5 the shell of a class can't be edited": [f"{HERE}::test_2_5_the_shell_of_a_class_can_be_edited"],
    "2.5 a string in the first column": [
        f"{HERE}::test_2_5_a_method_with_a_string_in_the_first_column_stays_where_it_is"
    ],
    "2.5 what is deleted or renamed stays": [
        f"{HERE}::test_2_5_what_is_deleted_or_renamed_is_known_to_nobody",
        f"{HERE}::test_2_5_what_was_deleted_or_renamed_does_not_come_back_with_a_stale_writer",
    ],
    "2.5 an import needs a grant of its own": [f"{HERE}::test_2_5_imports_are_no_hot_lock"],
    "2.5 files can't be deleted or renamed, or are not Python": [
        f"{HERE}::test_2_5_any_file_can_be_made_changed_moved_and_deleted"
    ],
    "2.5 what the user removed comes back": [
        f"{HERE}::test_2_5_code_that_the_user_removed_between_sessions_stays_removed"
    ],
    "2.5 what the user changed is overwritten": [
        f"{HERE}::test_2_5_what_the_user_changed_in_a_file_that_a_session_wrote_is_not_overwritten"
    ],
    "2.5 what changes on disk during a run is overwritten": [
        "workspace/test_shared.py::test_a_person_writes_the_same_file_without_asking"
    ],
    "2.5 two sessions on one repository": [
        f"{HERE}::test_2_5_two_kernels_on_one_tree_see_what_the_other_did",
        "workspace/test_shared.py::test_stale_writers_lose_nothing",
    ],
    "2.5 symbols of another project": [
        f"{HERE}::test_2_5_two_projects_know_nothing_of_each_other",
        f"{HERE}::test_12_12_the_state_is_that_of_the_repository_wherever_one_stands",
    ],
    "2.5 versions begin anew with each session": [f"{HERE}::test_2_5_what_a_session_saw_is_known_to_the_next_process"],
    "12.1 the store is the truth": [
        f"{HERE}::test_2_5_code_that_the_user_removed_between_sessions_stays_removed",
        "code/test_index.py::test_any_history_of_changes_ends_like_a_fresh_index",
    ],
    "12.2 a symbol is taken for another": [
        f"{HERE}::test_12_2_an_unknown_symbol_is_refused_and_never_taken_for_another"
    ],
    "12.3 placed wrongly": [
        f"{HERE}::test_2_5_a_new_method_is_in_its_class",
        f"{HERE}::test_2_5_a_new_function_stands_before_the_main_guard",
    ],
    "12.4 shells of classes": [f"{HERE}::test_2_5_the_shell_of_a_class_can_be_edited"],
    "12.5 locks are held while a model thinks": [
        f"{HERE}::test_12_5_who_reads_and_thinks_holds_nothing",
        "code/test_inside.py::test_pairs_are_merged_right_or_handed_back",
    ],
    "12.6 whole symbols are sent for each change": [f"{HERE}::test_12_6_an_edit_is_told_by_what_it_changed"],
    "12.7 an identical second try passes": [f"{HERE}::test_12_7_what_was_refused_is_refused_again"],
    "12.8 state is written anew for each symbol, and can be torn": [
        f"{HERE}::test_12_8_an_edit_writes_no_more_in_a_large_project",
        "workspace/test_shared.py::test_killed_at_every_step_a_write_is_done_or_not",
        "workspace/test_shared.py::test_versions_are_bounded",
        "code/test_index.py::test_a_damaged_store_is_made_anew",
        "kernel/test_kill_at_statements.py::test_killed_anywhere_it_is_done_whole_or_not_at_all",
    ],
    "12.9 one edit reformats the file": [
        f"{HERE}::test_12_9_one_edit_changes_no_other_line",
        "workspace/test_shared.py::test_bytes_outside_of_an_edit_stay",
        "code/test_outline.py::test_the_standard_library_tiles",
    ],
    "12.10 no hierarchy of locks, none between processes": [
        f"{HERE}::test_12_10_a_file_is_not_deleted_under_who_holds_a_symbol_of_it",
        f"{HERE}::test_2_5_two_kernels_on_one_tree_see_what_the_other_did",
        "kernel/test_leases_model.py::test_leases_are_as_in_the_model",
    ],
    "12.11 a new parameter cascades, and right code is blocked": [
        f"{HERE}::test_12_11_an_optional_parameter_concerns_nobody",
        "code/test_conflicts.py::test_correct_code_is_never_blocked",
    ],
    "12.12 what the user staged is committed, state is in the way": [
        f"{HERE}::test_12_12_nothing_that_the_user_has_staged_is_committed",
        f"{HERE}::test_12_12_the_state_is_that_of_the_repository_wherever_one_stands",
        f"{HERE}::test_12_12_git_does_not_see_the_state",
    ],
    "12.13 nobody takes over, silence ends the run": [
        "run/test_pauses.py::test_the_next_agent_of_the_chain_takes_the_session",
        "run/test_outcomes.py::test_every_outcome_is_handled",
    ],
    "12.14 odd bytes": [
        f"{HERE}::test_12_14_any_bytes_are_kept",
        f"{HERE}::test_12_14_a_text_without_a_match_changes_nothing",
    ],
    "12.15 long prompts, sandboxes, plans before they are checked": [
        "run/test_hostile_agents.py::test_a_prompt_of_200_kilobytes_arrives_whole",
        "agents/test_confinement.py::test_where_it_can_not_be_done",
        "cli/test_plan.py::test_a_plan_shows_what_goes_side_by_side_and_changes_nothing",
    ],
}
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


@pytest.mark.parametrize("trap", TRAPS)
def test_the_tests_that_are_named_are_there(trap: str) -> None:
    for named in TRAPS[trap]:
        path, _, name = named.partition("::")
        text = (Path(__file__).parents[1] / path).read_text()
        assert f"\ndef {name}(" in text, named


def test_2_5_functions_of_two_sessions_stand_before_the_main_guard(place: Place) -> None:
    sessions = [place.session(f"s-{number}") for number in range(2)]
    seen = [session.read("main.py") or b"" for session in sessions]
    for number, session in enumerate(sessions):
        new = b"def g%d():\n    return 2\n\n\nif __name__" % number
        session.apply("main.py", Write(seen[number].replace(b"if __name__", new)))
    text = place.text("main.py")
    assert max(text.index(b"def g0"), text.index(b"def g1")) < text.index(b"if __name__")
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


def test_2_5_what_is_deleted_or_renamed_is_known_to_nobody(place: Place) -> None:
    index, session = Index(None), place.session("s-1")

    def known(name: str) -> list[str]:
        text = place.text("cls.py")
        index.refresh([("cls.py", hashlib.sha1(text).hexdigest())], lambda _: text)
        return [found.key for found in index.definitions(name)]

    assert known("put") == ["Cache.put"] and known("Repo") == ["Repo"]
    session.apply("cls.py", exchange(b"    def put(self, key):\n        pass\n", b""))
    session.apply("cls.py", exchange(b"class Repo:", b"class Store:"))
    assert known("put") == known("Repo") == [] and known("Store") == ["Store"]
    with pytest.raises(NotFound):
        session.apply("cls.py", insertion(b"    x = 1\n", "after", "Cache.put"))


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


def test_12_6_an_edit_is_told_by_what_it_changed(tmp_path: Path) -> None:
    code = b"".join(b"def f%d():\n    return %d\n\n\n" % (n, n) for n in range(4000))
    place = Place(tmp_path, a_py=code)
    edit = exchange(b"return 2000\n", b"return 0\n")
    said = edit_tools.said(place.session("s-1").apply("a.py", edit))
    assert len(code) > 100_000 and "f2000" in said and len(said) < 200


def test_12_7_what_was_refused_is_refused_again(place: Place) -> None:
    one, two = place.session("s-1"), place.session("s-2")
    seen = two.read("cls.py") or b""
    one.apply("cls.py", exchange(b"return key", b"return 1"))
    for _ in range(2):
        with pytest.raises(Overlap):
            two.apply("cls.py", Write(seen.replace(b"return key", b"return 2")))
    assert b"return 1" in place.text("cls.py")


def test_12_8_an_edit_writes_no_more_in_a_large_project(tmp_path: Path) -> None:
    if not Path("/proc/self/io").exists():
        pytest.skip("how much a process writes is told by Linux alone")

    def written(files: int) -> int:
        """Bytes for one more edit, where no log is tidied up besides."""
        (folder := tmp_path / str(files)).mkdir()
        place = Place(folder, **{f"f{n}_py": b"def f():\n    return 1\n" for n in range(files)})
        session = place.session("s-1")
        for number in range(files):
            session.apply(f"f{number}.py", exchange(b"return 1", b"return 2"))
        spent = []
        for number in range(3, 9):
            before = _written()
            session.apply("f0.py", exchange(b"return %d" % (number - 1), b"return %d" % number))
            spent.append(_written() - before)
        return min(spent)

    assert 0 < written(80) < 1.5 * written(2)


def _written() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


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


def test_12_11_an_optional_parameter_concerns_nobody() -> None:
    """Not one of many callers is told, let alone given work."""
    base = {"m.py": b"def f(a):\n    return a\n", **{f"u{n}.py": b"" for n in range(50)}}
    ours = {**base, "m.py": b"def f(a, b=1):\n    return a\n"}
    theirs = base | {f"u{n}.py": b"from m import f\n\n\ndef use():\n    return f(1)\n" for n in range(50)}
    assert [said for said in conflicts(base, ours, theirs, None, None) if said.provable] == []


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


def test_12_12_git_does_not_see_the_state(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    assert (sandbox.root / ".intarsia").is_dir()
    assert sandbox.git("status", "--short", "--untracked-files=all") == ""
    assert sandbox.git("add", "--all", "--dry-run") == ""


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
