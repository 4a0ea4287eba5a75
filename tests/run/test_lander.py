"""Sessions that wait for the branch land together; what fails together is found by halves."""

from __future__ import annotations

import subprocess

import pytest

from intarsia.kernel import leases
from tests.run.test_crash import opened
from tests.support.sandbox import Sandbox, adds

QUEUE = "land:main"
COUNTED = "echo x >> ${INTARSIA_ROOT}/runs"


@pytest.fixture
def gathered(sandbox: Sandbox) -> Sandbox:
    """The way to the branch is held by somebody else until `free`."""
    sandbox.ok("issue", "list")
    with opened(sandbox).transaction() as tx:
        leases.acquire(tx, "somebody", QUEUE, ttl=600)
    return sandbox


def free(box: Sandbox) -> None:
    with opened(box).transaction() as tx:
        leases.release(tx, "somebody", QUEUE)


def begin(box: Sandbox, files: dict[str, str], *args: str) -> subprocess.Popen[str]:
    """One issue for each file, each with an agent of its own; all stand in the line when this returns."""
    for number in range(1, len(files) + 1):
        box.issue(f"it-{number}")
    turns = {f"it-{number}": adds(name, text) for number, (name, text) in enumerate(files.items(), 1)}
    run = box.start("run", "--json", "--agent", box.scenario(turns), "--agents", str(len(files)), *args)
    assert run.stdout is not None
    waiting = 0
    for said in run.stdout:
        waiting += '"waiting for its turn"' in said
        if waiting == len(files):
            return run
    raise AssertionError("The run is over.")


def let_through(box: Sandbox, run: subprocess.Popen[str]) -> int:
    (box.root / "runs").unlink(missing_ok=True)
    free(box)
    run.communicate(timeout=300)
    return run.returncode


def runs(box: Sandbox) -> int:
    """How often the check ran since the way was free."""
    return len((box.root / "runs").read_text().split())


def landings(box: Sandbox) -> int:
    """How often the branch was moved for those that began at its first commit."""
    return len(box.git("reflog", "show", "--format=%gs", "main").splitlines())


def test_all_that_wait_land_with_one_check(gathered: Sandbox) -> None:
    gathered.commit("intarsia.toml", f"[checks]\ncount = '{COUNTED}'\n", "Configure")
    before = landings(gathered)
    run = begin(gathered, {f"{n}.txt": f"{n}\n" for n in range(5)})
    assert let_through(gathered, run) == 0
    assert {f"{n}.txt" for n in range(5)} <= gathered.files()
    assert (runs(gathered), landings(gathered) - before) == (1, 1)
    subjects = gathered.git("log", "--format=%(trailers:key=Issue,valueonly)", "-5").split()
    assert sorted(subjects) == [f"it-{n}" for n in range(1, 6)]


def test_what_fails_with_others_is_found_and_the_others_land(gathered: Sandbox) -> None:
    """Each passes alone; two of the files must not be there together."""
    check = f"{COUNTED}; ! test -e 1.txt || ! test -e 4.txt"
    gathered.commit("intarsia.toml", f"[run]\nfollowups = 0\n\n[checks]\nnot_both = '{check}'\n", "Configure")
    run = begin(gathered, {f"{n}.txt": f"{n}\n" for n in range(6)})
    assert let_through(gathered, run) == 1
    both = {"1.txt", "4.txt"}
    assert {f"{n}.txt" for n in range(6)} - both <= gathered.files()
    assert len(both & gathered.files()) == 1
    assert sorted(gathered.status(f"it-{n}") for n in range(1, 7)) == ["blocked", *["closed"] * 5]
    assert runs(gathered) <= 6


def test_a_conflict_among_them_is_known_when_the_first_has_landed(gathered: Sandbox) -> None:
    gathered.commit("intarsia.toml", "[run]\nfollowups = 0\n", "Configure")
    run = begin(gathered, {"same.txt": "one\n", "./same.txt": "two\n", "other.txt": "three\n"})
    assert let_through(gathered, run) == 1
    assert {"same.txt", "other.txt"} <= gathered.files()
    assert sorted(gathered.status(f"it-{n}") for n in range(1, 4)) == ["blocked", "closed", "closed"]


def test_what_is_in_the_way_of_one_is_not_in_the_way_of_the_others(gathered: Sandbox) -> None:
    run = begin(gathered, {"free.txt": "1\n", "taken.txt": "2\n", "also-free.txt": "3\n"})
    gathered.write("taken.txt", "a person's\n")
    let_through(gathered, run)
    assert {"free.txt", "also-free.txt"} <= gathered.files()
    assert "taken.txt" not in gathered.files()
    assert (gathered.root / "taken.txt").read_text() == "a person's\n"
    [waiting] = [session for session in gathered.sessions() if session["stage"] == "parked"]
    assert "taken.txt" in waiting["reason"]


def test_a_run_that_is_stopped_leaves_the_line(gathered: Sandbox) -> None:
    run = begin(gathered, {"1.txt": "1\n", "2.txt": "2\n", "3.txt": "3\n"})
    run.terminate()
    run.communicate(timeout=300)
    assert {session["stage"] for session in gathered.sessions()} == {"parked"}
    free(gathered)
    gathered.ok("run", "--agent", gathered.scenario({}))
    assert {"1.txt", "2.txt", "3.txt"} <= gathered.files()
