"""The shared tree: many write the same file at once, byte for byte, and nobody's work is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from intarsia.errors import Held, InputError, NotFound
from intarsia.workspace import replacing
from intarsia.workspace.edits import Delete, Edit, NotSeen, Write, exchange, import_of, insertion
from intarsia.workspace.joining import Overlap
from intarsia.workspace.shared import Adopted, Shared, Tree
from tests.support import shared_worker
from tests.support.shared_place import CODE, Place
from tests.support.shared_worker import FILE, marks, without_marks

P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, a_py=CODE)


def spares(root: Path) -> list[str]:
    return [spare.name for spare in (root / ".intarsia" / "shared" / "spare").iterdir()]


def test_two_sessions_change_the_same_file(place: Place) -> None:
    one, two = place.session("s-1"), place.session("s-2")
    for session in (one, two):
        session.read("a.py")
    one.apply("a.py", Write(CODE.replace(b"def a():\n    return 1", b"def a():\n    return 2")))
    done = two.apply("a.py", Write(CODE.replace(b"def b():\n    return 1", b"def b():\n    return 2")))
    assert done.merged
    assert place.text().count(b"return 2") == 2
    assert place.own("s-1") == CODE.replace(b"def a():\n    return 1", b"def a():\n    return 2")
    assert place.own("s-2") == CODE.replace(b"def b():\n    return 1", b"def b():\n    return 2")


def test_a_session_may_go_on_from_what_it_wrote_itself(place: Place) -> None:
    """It never reads again, so what others did meanwhile is not in what it writes; it is kept all the same."""
    one, two = place.session("s-1"), place.session("s-2")
    text = one.read("a.py") or b""
    two.apply("a.py", exchange(b"class C:", b"class C(Base):"))
    for number in range(3):
        text = text.replace(b"def a():\n", b"def a():\n    print(%d)\n" % number)
        one.apply("a.py", Write(text))
    assert b"class C(Base):" in place.text()
    assert place.text().count(b"print(") == 3
    assert b"Base" not in (place.own("s-1") or b"")


def test_an_edit_counts_for_what_the_session_believes(place: Place) -> None:
    one = place.session("s-1")
    seen = one.read("a.py") or b""
    one.apply("a.py", exchange(b"def a():\n", b"def a():\n    log()\n"))
    one.apply("a.py", Write(seen))
    assert place.text() == CODE


def test_both_changed_the_same(place: Place) -> None:
    one, two = place.session("s-1"), place.session("s-2")
    for session in (one, two):
        session.read("a.py")
    one.apply("a.py", Write(CODE.replace(b"def a():\n    return 1", b"def a():\n    return 2")))
    with pytest.raises(Overlap) as refused:
        two.apply("a.py", Write(CODE.replace(b"def a():\n    return 1", b"def a():\n    return 3")))
    assert refused.value.symbols == ["a"]
    assert b"return 2" in place.text() and b"return 3" not in place.text()
    assert place.own("s-2") in (None, CODE)


def test_a_file_that_was_not_read_is_not_overwritten(place: Place) -> None:
    with pytest.raises(NotSeen):
        place.session("s-1").apply("a.py", Write(b"new\n"))
    assert place.text() == CODE


def test_a_held_symbol_is_refused_and_nothing_changes(place: Place) -> None:
    asked: list[Mapping[str, str]] = []

    def refuse(needs: Mapping[str, str]) -> str:
        asked.append(needs)
        raise Held("It is held.")

    session = Shared(place.tree, "s-1", refuse)
    with pytest.raises(Held):
        session.apply("a.py", exchange(b"def b():\n    return 1", b"def b():\n    return 2"))
    assert place.text() == CODE
    assert asked == [{"code:a.py#b/body": "exclusive"}]


def test_files_are_made_and_removed(place: Place) -> None:
    session = place.session("s-1")
    session.apply("pkg/new.py", Write(b"x = 1\n"))
    session.apply("a.py", Delete())
    assert place.text("pkg/new.py") == b"x = 1\n"
    assert not (place.root / "a.py").exists()
    assert place.own("s-1", "pkg/new.py") == b"x = 1\n" and place.own("s-1") is None
    with pytest.raises(NotFound):
        session.apply("a.py", exchange(b"a", b"b"))


def test_a_file_is_moved_with_its_mode(place: Place) -> None:
    (place.root / "a.py").chmod(0o755)
    place.session("s-1").move("a.py", "pkg/b.py")
    assert place.text("pkg/b.py") == CODE
    assert stat.S_IMODE((place.root / "pkg/b.py").stat().st_mode) == 0o755
    assert not (place.root / "a.py").exists()


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (CODE.replace(b"\n", b"\r\n"), b"def a():\n", b"def a():\n    x()\n", b"def a():\r\n    x()\r\n"),
        (b"\xef\xbb\xbf" + CODE, b"def a():\n", b"def a():\n    x()\n", b"def a():\n    x()\n"),
        (CODE + b"# caf\xe9", b"def a():\n", b"def a():\n    x()\n", b"def a():\n    x()\n"),
        (CODE.rstrip(b"\n"), b"def a():\n", b"def a():\n    x()\n", b"def a():\n    x()\n"),
        (CODE + b"\x0c\nz = '\t'\n", b"def a():\n", b"def a():\n    x()\n", b"def a():\n    x()\n"),
    ],
    ids=["CRLF", "BOM", "latin-1", "no final newline", "form feed and tab"],
)
def test_bytes_outside_of_an_edit_stay(tmp_path: Path, before: bytes, old: bytes, new: bytes, after: bytes) -> None:
    place = Place(tmp_path, a_py=before)
    (tmp_path / "a.py").chmod(0o754)
    place.session("s-1").apply("a.py", exchange(old, new))
    found = old.replace(b"\n", b"\r\n") if b"\r\n" in before else old
    assert place.text() == before.replace(found, after)
    assert stat.S_IMODE((tmp_path / "a.py").stat().st_mode) == 0o754


def test_a_link_stays_a_link(place: Place) -> None:
    (place.root / "link.py").symlink_to("a.py")
    session = place.session("s-1")
    session.apply(place.tree.path("link.py"), exchange(b"def a()", b"def aa()"))
    assert (place.root / "link.py").is_symlink()
    assert b"def aa()" in place.text()


@pytest.mark.parametrize("name", ["../x.py", "/etc/passwd", ".git/config", ".intarsia/shared.db", "out/x"])
def test_only_files_of_the_project(place: Place, name: str) -> None:
    (place.root / "out").symlink_to("/tmp")
    with pytest.raises(InputError):
        place.tree.path(name)


def test_a_persons_change_is_adopted_and_is_not_the_sessions(place: Place) -> None:
    session = place.session("s-1")
    session.apply("a.py", exchange(b"def a():\n    return 1", b"def a():\n    return 2"))
    (place.root / "a.py").write_bytes(place.text().replace(b"def b():\n    return 1", b"def b():\n    return 9"))
    session.apply("a.py", exchange(b"import os\n", b"import os\nimport sys\n"))
    assert place.adopted == [Adopted("a.py", ["b"])]
    assert b"return 9" in place.text()
    own = place.own("s-1") or b""
    assert b"return 2" in own and b"import sys" in own and b"return 9" not in own


def test_a_persons_change_of_a_symbol_that_a_session_edits_on_top_of(place: Place) -> None:
    """What stands in a unit that the session holds and has worked on is its own."""
    session = place.session("s-1")
    (place.root / "a.py").write_bytes(CODE.replace(b"return 1", b"return 9", 1))
    session.apply("a.py", exchange(b"return 9", b"return 10"))
    assert place.own("s-1") == CODE.replace(b"return 1", b"return 10", 1)


def test_what_a_session_had_is_taken_back(place: Place) -> None:
    one, two = place.session("s-1"), place.session("s-2")
    one.apply("a.py", exchange(b"def a():\n    return 1", b"def a():\n    return 2"))
    two.apply("a.py", exchange(b"def b():\n    return 1", b"def b():\n    return 3"))
    one.apply("new.py", Write(b"x = 1\n"))
    assert place.portion("s-1").take_back() == []
    assert place.text() == CODE.replace(b"def b():\n    return 1", b"def b():\n    return 3")
    assert not (place.root / "new.py").exists()


def test_a_turn_is_taken_back_and_what_was_before_it_stays(place: Place) -> None:
    session, portion = place.session("s-1"), place.portion("s-1")
    session.apply("a.py", exchange(b"def a():\n    return 1", b"def a():\n    return 2"))
    before = place.text()
    portion.begin_turn()
    session.apply("a.py", exchange(b"def a():\n    return 2", b"def a():\n    return 3"))
    session.apply("a.py", exchange(b"def b():\n    return 1", b"def b():\n    return 3"))
    assert portion.take_back(turn=True) == []
    assert place.text() == before == place.own("s-1")


def test_parked_work_leaves_the_tree_and_comes_back(place: Place) -> None:
    session, portion = place.session("s-1"), place.portion("s-1")
    session.apply("a.py", exchange(b"def a():\n    return 1", b"def a():\n    return 2"))
    with_work = place.text()
    assert portion.take_out() == []
    assert place.text() == CODE
    place.session("s-2").apply("a.py", exchange(b"def b():\n    return 1", b"def b():\n    return 3"))
    portion.put_in()
    assert place.text() == with_work.replace(b"def b():\n    return 1", b"def b():\n    return 3")


def test_when_all_have_landed_the_file_is_that_of_the_branch(place: Place) -> None:
    """Two added at the same place, and landed in the other order than they wrote."""
    one, two = place.session("s-1"), place.session("s-2")
    for session, name in ((one, b"one"), (two, b"two")):
        session.apply("a.py", insertion(b"def %s():\n    pass\n" % name, "after", "a"))
    landed = place.own("s-2") or b""
    place.branch["a.py"] = landed
    place.portion("s-2").forget()
    assert b"def one" in place.text()
    two_and_one = landed.replace(b"def two():\n    pass\n", b"def two():\n    pass\n\n\ndef one():\n    pass\n")
    one_and_two = landed.replace(b"def two():\n    pass\n", b"def one():\n    pass\n\n\ndef two():\n    pass\n")
    for order in (two_and_one, one_and_two):
        place.branch["a.py"] = order
    place.portion("s-1").forget()
    assert place.text() == place.branch["a.py"]
    assert place.tree.versions.size() == (0, 0)


def test_versions_are_bounded(place: Place) -> None:
    session = place.session("s-1")
    for number in range(30):
        session.apply("a.py", exchange(b"import os\n", b"import os\nimport m%d\n" % number))
    assert place.tree.versions.size()[0] <= 4
    assert spares(place.root) == []


BROKEN = b"def a(:\n    return 1"


def test_a_broken_unit_does_not_stop_the_others(place: Place) -> None:
    asked: list[str] = []

    def ask(needs: Mapping[str, str]) -> str:
        asked.extend(needs)
        return ""

    place.session("s-1").apply("a.py", exchange(b"def a():\n    return 1", BROKEN))
    other = Shared(place.tree, "s-2", ask)
    other.apply("a.py", exchange(b"        return 1\n", b"        return 2\n"))
    assert asked == ["code:a.py#C.m/body"]
    assert place.own("s-2") == CODE.replace(b"        return 1\n", b"        return 2\n")
    place.session("s-1").apply("a.py", exchange(BROKEN, b"def a():\n    return 5"))
    assert b"return 5" in place.text() and b"        return 2\n" in place.text()


# Edits of a part.


def test_insertions_stand_where_they_were_wanted(place: Place) -> None:
    session = place.session("s-1")
    session.apply("a.py", insertion(b"def c():\n    pass\n", "after", "a"))
    session.apply("a.py", insertion(b"    def n(self):\n        pass\n", "into", "C"))
    session.apply("a.py", insertion(b"    def k(self):\n        pass\n", "before", "C.m"))
    assert place.text() == (
        b"import os\n\n\ndef a():\n    return 1\n\n\ndef c():\n    pass\n\n\ndef b():\n    return 1\n\n\n"
        b"class C:\n    def k(self):\n        pass\n\n    def m(self):\n        return 1\n\n"
        b"    def n(self):\n        pass\n"
    )


def test_a_method_is_not_put_outside_of_its_class(place: Place) -> None:
    with pytest.raises(InputError):
        place.session("s-1").apply("a.py", insertion(b"def n(self):\n    pass\n", "after", "C.m"))
    assert place.text() == CODE


@pytest.mark.parametrize(
    ("before", "statement", "after"),
    [
        (b"import os\nx = 1\n", b"import sys", b"import os\nimport sys\nx = 1\n"),
        (b'"""Doc."""\n\nx = 1\n', b"import sys", b'"""Doc."""\nimport sys\n\nx = 1\n'),
        (b"import os\n", b"import os", b"import os\n"),
        (b"", b"import sys", b"import sys\n"),
        (
            b"from __future__ import annotations\nimport os\n",
            b"from __future__ import division",
            b"from __future__ import annotations\nfrom __future__ import division\nimport os\n",
        ),
    ],
)
def test_imports(tmp_path: Path, before: bytes, statement: bytes, after: bytes) -> None:
    place = Place(tmp_path, a_py=before)
    place.session("s-1").apply("a.py", import_of(statement))
    assert place.text() == after


def test_a_text_has_to_be_there_once(place: Place) -> None:
    session = place.session("s-1")
    for change in (b"nowhere", b"return 1"):
        with pytest.raises(InputError):
            session.apply("a.py", exchange(change, b"x"))
    session.apply("a.py", exchange(b"return 1", b"return 2", everywhere=True))
    assert place.text().count(b"return 2") == 3


# Processes.


def spawn(root: Path, agent: int, agents: int, writes: int, *how: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.support.shared_worker", str(root), f"s-{agent}", str(agents), str(writes)]
    return subprocess.Popen([*argv, str(agent), *how], stdout=subprocess.PIPE, text=True)


def test_stale_writers_lose_nothing(tmp_path: Path) -> None:
    """The whole count, 16 agents with 200 writes each, is in benchmarks/shared.py."""
    before = shared_worker.module(500)
    shared_worker.start(tmp_path, before)
    agents = [spawn(tmp_path, n, 4, 8) for n in range(4)]
    done = [agent.communicate()[0].split() for agent in agents]
    assert [agent.returncode for agent in agents] == [0] * 4
    after = (tmp_path / FILE).read_bytes()
    assert marks(after) == {mark.encode() for marks_ in done for mark in marks_}
    assert len(marks(after)) == 32
    assert without_marks(after) == before


def test_killed_writers_leave_the_file_whole_and_what_they_and_a_person_finished_in_it(tmp_path: Path) -> None:
    before = shared_worker.module(120)
    shared_worker.start(tmp_path, before)
    acknowledged: set[bytes] = set()
    with shared_worker.Person(tmp_path, every=0.4) as person:  # not so often that nobody else comes to write
        for round_ in takewhile(lambda n: n < 5 or not person.typed, count()):
            agents = [spawn(tmp_path, 10 * (round_ + 1) + n, 100, 50) for n in range(3)]
            assert agents[0].stdout is not None
            acknowledged |= {agents[0].stdout.readline().strip().encode() for _ in range(2)}
            for agent in agents:
                agent.send_signal(signal.SIGKILL)
                acknowledged |= set(agent.communicate()[0].encode().split())
            compile((tmp_path / FILE).read_bytes(), FILE, "exec")
    Shared(shared_worker.open_tree(tmp_path), "s-last", lambda needs: "").read(FILE)
    after = (tmp_path / FILE).read_bytes()
    assert len(acknowledged) > 5
    assert acknowledged <= marks(after)
    assert person.typed
    assert person.without_lines(without_marks(after)) == before
    assert spares(tmp_path) == []


class Boundaries:
    """Kills this process with -9 at the n-th effect of a write."""

    def __init__(self, kill_at: int) -> None:
        self.left = kill_at

    def around(self, call: Callable[P, T]) -> Callable[P, T]:
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            self.reach()
            done = call(*args, **kwargs)
            self.reach()
            return done

        return called

    def reach(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def die_in(root: Path, branch: Mapping[str, bytes], change: Edit, path: str, kill_at: int) -> bool:
    """Apply a change in a child that dies at that boundary; false if it got to its end."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    code = 1
    with contextlib.suppress(BaseException):
        boundaries = Boundaries(kill_at)
        tree = Tree.of(root, lambda path, _: branch.get(path), lambda adopted: None)
        watched = {"os.rename", "os.remove", "os.link", "open", "sqlite3.connect"}
        replacing._exchange = boundaries.around(replacing._exchange)
        os.fchmod = boundaries.around(os.fchmod)  # a file is there, and its content is not yet in it
        os.fsync = boundaries.around(os.fsync)
        tree.versions.drop_intent = boundaries.around(tree.versions.drop_intent)  # type: ignore[method-assign]
        sys.addaudithook(lambda event, _: boundaries.reach() if event in watched else None)
        Shared(tree, "s-1", lambda needs: "").apply(path, change)
        code = 0
    os._exit(code)


@pytest.mark.parametrize("what", ["edit", "create", "delete"])
def test_killed_at_every_step_a_write_is_done_or_not(tmp_path: Path, what: str) -> None:
    changes: dict[str, tuple[str, Edit]] = {
        "edit": ("a.py", exchange(b"def a():\n    return 1", b"def a():\n    return 2")),
        "create": ("new.py", Write(b"x = 1\n")),
        "delete": ("a.py", Delete()),
    }
    path, change = changes[what]
    outcomes = set()
    for kill_at in range(1, 200):
        root = tmp_path / str(kill_at)
        root.mkdir()
        place = Place(root, a_py=CODE)
        place.tree.versions.close()
        died = die_in(root, place.branch, change, path, kill_at)
        place.tree = place.open()
        with place.tree.alone_with(path) as disk:
            pass
        row = place.tree.versions.own("s-1", path)
        done = row is not None and row.changed
        outcomes.add(done)
        assert disk == (place.own("s-1", path) if done else place.branch.get(path)), f"killed at {kill_at}"
        assert place.adopted == [] and spares(root) == []
        assert place.tree.versions.intent(path) is None
        place.tree.versions.close()
        if not died:
            break
    assert outcomes == {True, False} and kill_at >= 10


def test_killed_at_every_step_what_a_person_writes_then_is_kept(tmp_path: Path) -> None:
    """Above all it is never taken for done what was not, as half a new content would then take the file's place."""
    old, new = b"def a():\n    return 1", b"def a():\n    return 2"
    outcomes = set()
    for kill_at in range(1, 200):
        root = tmp_path / str(kill_at)
        root.mkdir()
        place = Place(root, a_py=CODE)
        place.tree.versions.close()
        died = die_in(root, place.branch, exchange(old, new), "a.py", kill_at)
        with (root / "a.py").open("ab") as file:
            file.write(b"# mine\n")
        place.tree = place.open()
        with place.tree.alone_with("a.py") as disk:
            pass
        place.tree.versions.close()
        assert disk in (CODE + b"# mine\n", CODE.replace(old, new) + b"# mine\n"), f"killed at {kill_at}"
        assert spares(root) == []
        outcomes.add(disk)
        if not died:
            break
    assert len(outcomes) == 2 and kill_at >= 10


def test_a_person_writes_the_same_file_without_asking(tmp_path: Path) -> None:
    """In place, as an editor or a shell does it, at any moment after a write of a session that goes on and on."""
    place = Place(tmp_path, a_py=CODE)
    over = threading.Event()
    typed: list[bytes] = []

    def person() -> None:
        text = b""
        chance = random.Random(1)
        while not over.is_set():
            time.sleep(chance.random() / 50)
            if place.text() == text:
                continue
            text = place.text()
            line = b"# person %d\n" % len(typed)
            with (tmp_path / "a.py").open("r+b") as file:
                if file.read() == text:
                    file.seek(0)
                    file.write(text + line)
                    text += line
                    typed.append(line)

    thread = threading.Thread(target=person)
    thread.start()
    session = place.session("s-1")
    deadline = time.monotonic() + 60
    number = 0
    try:
        while number < 40 or (len(typed) <= 3 and time.monotonic() < deadline):
            session.apply("a.py", exchange(b"import os\n", b"import os\nimport m%d\n" % number))
            number += 1
            time.sleep(0.005)  # or the person never comes to write what was read
    finally:
        over.set()
        thread.join()
    session.read("a.py")
    assert len(typed) > 3
    assert [line for line in typed if line not in place.text()] == []
    assert place.text().count(b"import m") == number


@pytest.fixture
def held_open(place: Place) -> Iterator[Path]:
    with (place.root / "a.py").open("r+b"):
        yield place.root / "a.py"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")
def test_a_file_that_is_being_written_is_waited_for(
    place: Place, held_open: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "PATIENCE", 0.05)
    with pytest.raises(replacing.Busy):
        place.session("s-1").apply("a.py", exchange(b"def a", b"def aa"))
    assert place.text() == CODE


def test_what_a_killed_process_had_begun_is_taken_back_too(tmp_path: Path) -> None:
    """Killed when the file had its new content already, and the session's row not."""
    place = Place(tmp_path, a_py=CODE)
    edit = exchange(b"def a():\n    return 1", b"def a():\n    return 2")
    place.tree.versions.close()
    kill_at = 1
    while die_in(tmp_path, place.branch, edit, "a.py", kill_at) and place.text() == CODE:
        kill_at += 1
    place.tree = place.open()
    assert place.text() != CODE and place.tree.versions.begun("s-1") == ["a.py"]
    place.portion("s-1").take_back()
    assert place.text() == CODE
