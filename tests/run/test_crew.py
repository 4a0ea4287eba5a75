"""While what agents finished is checked and lands, others work; and never more of them than there may be."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from intarsia.run.crew import Crew
from tests.run.test_crash import finish
from tests.support.sandbox import Sandbox, adds
from tests.support.until import until


def never() -> bool:
    return False


@pytest.fixture
def crew() -> Crew:
    """Of two agents, both of which work."""
    crew = Crew(2)
    crew.join("s-1", working=True)
    crew.join("s-2", working=True)
    return crew


def returning(crew: Crew, session: str, stopped: Callable[[], bool] = never) -> threading.Thread:
    """It waits for an agent when this returns."""
    thread = threading.Thread(target=crew.work, args=(session, stopped))
    thread.start()
    until(lambda: session in crew._returning)
    return thread


def test_another_one_begins_when_an_agent_is_free(crew: Crew) -> None:
    woken = []
    crew.when_free = lambda: woken.append(crew.has_agent())
    assert not crew.has_agent()
    crew.rest("s-1")
    assert woken == [True]


def test_of_the_finished_not_more_than_all_agents_but_one_have_left(crew: Crew) -> None:
    crew.rest("s-1")
    crew.join("s-3", working=True)
    crew.rest("s-2")
    assert not crew.has_room()
    assert not crew.has_agent()
    crew.leave("s-1")
    assert crew.has_agent()


def test_one_that_goes_back_to_its_agent_comes_first(crew: Crew) -> None:
    crew.rest("s-1")
    crew.join("s-3", working=True)
    thread = returning(crew, "s-1")
    crew.leave("s-2")
    thread.join()
    assert not crew.has_agent()
    crew.leave("s-3")
    assert crew.has_agent()


def test_who_has_to_wait(crew: Crew) -> None:
    assert crew.may_work("s-1")
    crew.rest("s-1")
    assert crew.may_work("s-1")
    crew.join("s-3", working=True)
    assert not crew.may_work("s-1")


def test_one_that_is_stopped_meanwhile_is_told_so(crew: Crew) -> None:
    crew.rest("s-1")
    crew.join("s-3", working=True)
    assert crew.work("s-3", never)
    assert not crew.work("s-1", lambda: True)
    crew.leave("s-2")
    assert crew.has_agent()


def test_one_that_others_wait_for_does_not_wait_for_them(crew: Crew) -> None:
    crew.rest("s-1")
    crew.join("s-3", working=True)
    assert crew.work("s-1", never, lambda: True)
    crew.rest("s-2")
    assert not crew.has_agent()


def test_alone_an_agent_has_one_session() -> None:
    assert Crew(1).most == 1


def waits(box: Sandbox) -> str:
    """A check that says which trees it looks at and ends with the file `go`."""
    place = box.root.parent
    return f"[checks]\nfine = 'echo >> {place}/checked; until [ -e {place}/go ]; do sleep 0.02; done'\n"


@pytest.mark.parametrize(("agents", "begun"), [(1, 1), (2, 3), (3, 5)])
def test_others_begin_while_the_finished_are_checked(sandbox: Sandbox, agents: int, begun: int) -> None:
    sandbox.commit("intarsia.toml", waits(sandbox), "Configure")
    names = [f"it-{number}" for number in range(1, 7)]
    for name in names:
        sandbox.issue(name)
    agent = sandbox.scenario({name: adds(f"{name}.txt", "x\n") for name in names})
    with sandbox.start("run", "--agent", agent, "--agents", str(agents)) as run:
        checked = sandbox.root.parent / "checked"
        until(lambda: checked.exists() and len(checked.read_text().splitlines()) == begun)
        assert len(sandbox.sessions()) == begun
        (sandbox.root.parent / "go").touch()
        finish(run)
    assert {f"{name}.txt" for name in names} <= sandbox.files()
    assert [session["attempt"] for session in sandbox.sessions()] == [1] * 6


def test_two_that_make_the_very_same_commit_have_both_made_it(sandbox: Sandbox) -> None:
    """Git stores the second one's nowhere, as the user's repository has the first one's already."""
    work = (
        "set -e\n"
        "over='git reset -q --hard origin/main'\n"
        "[ $INTARSIA_TURN = 1 ] || { $over; echo ISSUE_ALREADY_COMPLETE: $(git rev-parse HEAD); exit; }\n"
        "first=refs/heads/intarsia/it-1/1\n"
        "[ $INTARSIA_ISSUE = it-1 ] || until git -C $INTARSIA_ROOT rev-parse -q --verify $first; do sleep 0.02; done\n"
        "echo x > x.txt; git add x.txt\n"
        "GIT_AUTHOR_DATE='@1700000000 +0000' GIT_COMMITTER_DATE='@1700000000 +0000' git commit -qm 'Add x'\n"
    )
    path = sandbox.root.parent / "agent.sh"
    path.write_text(work)
    go = sandbox.root.parent / "go"
    sandbox.commit("intarsia.toml", f"[checks]\nwait = 'until [ -e {go} ]; do sleep 0.02; done'\n", "Configure")
    for name in ("it-1", "it-2"):
        sandbox.issue(name)
    with sandbox.start("run", "--agent", f"command: sh {path}", "--agents", "2") as run:
        until(lambda: [session["stage"] for session in sandbox.sessions()] == ["checking"] * 2)
        heads = {session["head"] for session in sandbox.sessions()}
        go.touch()
        finish(run)
    assert len(heads) == 1
    assert "x.txt" in sandbox.files()
    assert sandbox.status("it-1") == sandbox.status("it-2") == "closed"


def test_never_more_agents_work_than_may_whatever_comes_back_to_them(sandbox: Sandbox) -> None:
    """Each has to repair its work once."""
    place = sandbox.root.parent
    twice = "[checks]\ntwice = 'for f in *.once; do test -e ${f%once}twice || exit 1; done'\n"
    sandbox.commit("intarsia.toml", twice, "Configure")
    names = [f"it-{number}" for number in range(1, 6)]
    for name in names:
        sandbox.issue(name)
    work = (
        f"echo + >> {place}/log; until [ $(grep -c + {place}/log) -ge 2 ]; do sleep 0.02; done;"
        " f=$INTARSIA_ISSUE.once; test -e $f && f=$INTARSIA_ISSUE.twice;"
        f" echo x > $f; git add . && git commit -qm work; echo - >> {place}/log"
    )
    (place / "agent.sh").write_text(work)
    sandbox.ok("run", "--agent", f"command: sh {place}/agent.sh", "--agents", "2")
    assert {f"{name}.twice" for name in names} <= sandbox.files()
    at_once = most = 0
    for sign in (place / "log").read_text().split():
        at_once += 1 if sign == "+" else -1
        most = max(most, at_once)
    assert most == 2
