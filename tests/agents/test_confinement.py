"""Agents in bubblewrap: by the real one where it works, and what is asked of it by one that only notes it."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from intarsia.agents import Limits, Turn, TurnEnd, Unenforced
from intarsia.agents.command import CommandDriver
from intarsia.agents.confinement import Confinement, unavailable
from intarsia.agents.environment import MARKER
from intarsia.agents.supervision import end_marked, marked
from intarsia.errors import ConfigError, NotReady
from tests.support.processes import command_line
from tests.support.sandbox import Sandbox
from tests.support.until import until

real = pytest.mark.skipif(bool(unavailable(network=False)), reason=unavailable(network=False))
FAKE = """#!/bin/sh
for word; do echo "$word"; done >"{notes}"
while [ "$1" != -- ]; do shift; done; shift
[ "$1" = true ] || echo "confined" >&2
{then}
"""


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[Turn]:
    """A slot with a workspace, its repository beside it, and directories of the session's own."""
    session, slot = f"s-{secrets.token_hex(4)}", tmp_path / "slot"
    for name in ("project", "git", "tmp", "cache", "folder"):
        (slot / name).mkdir(parents=True)
    (slot / "project/.git").write_text(f"gitdir: {slot}/git\n")
    env = {
        **os.environ, MARKER: session, "INTARSIA_ROLE": "agent", "HOME": str(tmp_path), "INTARSIA_ROOT": str(tmp_path),
        "TMPDIR": str(slot / "tmp"), "XDG_CACHE_HOME": str(slot / "cache"),
    }  # fmt: skip
    made = Turn(session, "it-1", 1, "Do it.", slot / "project", slot / "folder", env, Limits(0, 0, 1_000_000))
    made.prompt_file.write_text(made.prompt, encoding="utf-8")
    yield made
    end_marked(session, grace=0)


def fake_bwrap(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str = 'exec "$@"') -> Path:
    """A bwrap on the PATH that notes what it is told and does it without any confinement."""
    notes, bin = folder / "notes", folder / "bin"
    bin.mkdir()
    (bin / "bwrap").write_text(FAKE.format(notes=notes, then=then))
    (bin / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}{os.pathsep}{os.environ['PATH']}")
    return notes


def without_bwrap(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A PATH with all that there is but bwrap."""
    bin = folder / "all-but-bwrap"
    bin.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            link = bin / program.name
            if program.name != "bwrap" and not link.is_symlink():
                link.symlink_to(program)
    monkeypatch.setenv("PATH", str(bin))
    return str(bin)


def run(turn: Turn, script: str, confinement: Confinement) -> tuple[TurnEnd, list[str]]:
    """How `script` ended, and what was said to be unenforced."""
    driver = CommandDriver(f"sh -c {json.dumps(script)}", "", confinement)
    driver.check()
    *events, end = driver.start(turn).events()
    assert isinstance(end, TurnEnd)
    return end, [event.text for event in events if isinstance(event, Unenforced)]


REQUIRED = Confinement("required")


@real
def test_only_what_is_the_sessions_can_be_written(turn: Turn, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    places = ". ../git ../tmp ../cache .. ../folder / /etc /usr ~ ~/more /dev/shm"
    script = f"for place in {places}; do touch $place/x 2>/dev/null && echo $place; done; true"
    written = [".", "../git", "../tmp", "../cache"]
    end, _ = run(turn, script, REQUIRED)
    assert end.last_message.split() == [*written, "/dev/shm"]
    assert not (Path("/dev/shm") / "x").exists()
    end, _ = run(turn, script, replace(REQUIRED, writable=("~/more", "/gone")))
    assert end.last_message.split() == [*written, f"{tmp_path}/more", "/dev/shm"]


@real
def test_rights_can_not_be_taken_back(turn: Turn) -> None:
    script = "mount -o remount,rw / 2>/dev/null && echo mounted; mknod x c 1 3 2>/dev/null && echo device; true"
    assert run(turn, script, REQUIRED)[0] == TurnEnd("completed")


@real
def test_there_is_no_network_unless_it_is_granted(turn: Turn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"bash -c ': </dev/tcp/127.0.0.1/{port}' 2>/dev/null && echo connected; true"
        assert run(turn, script, REQUIRED)[0].last_message == ""
        assert run(turn, script, replace(REQUIRED, network=True))[0].last_message == "connected\n"


@real
def test_how_it_ends_and_what_it_reads_and_prints_is_the_same(turn: Turn) -> None:
    assert run(turn, "cat; exit 3", REQUIRED)[0] == TurnEnd("failed", "It ended with exit code 3.", "Do it.")
    assert run(turn, "kill -9 $$", REQUIRED)[0].outcome == "killed"


@real
def test_other_processes_are_out_of_sight_and_none_is_left(turn: Turn) -> None:
    script = f"kill -0 {os.getpid()} 2>/dev/null && echo seen; env -i setsid sleep 600 & true"
    assert run(turn, script, REQUIRED)[0] == TurnEnd("completed")
    until(lambda: not any("sleep" in command_line(process) for process in marked(turn.session)))


@real
def test_it_is_found_and_ended_from_outside(turn: Turn) -> None:
    running = CommandDriver("sh -c 'echo begun; env -i setsid sleep 600'", "", REQUIRED).start(turn)
    until(lambda: turn.output_file.read_bytes() == b"begun\n")
    until(lambda: any("sleep" in command_line(process) for process in marked(turn.session)))
    running.stop()
    assert not marked(turn.session)


@real
def test_a_run_lands_what_a_confined_agent_commits(sandbox: Sandbox) -> None:
    script = sandbox.root.parent / "agent.sh"
    script.write_text(f"echo x > x; git add x; git commit -qm x; touch {sandbox.root}/y {sandbox.root}/.git/y; true\n")
    sandbox.write("intarsia.toml", f'[agents.a]\ndriver = "command"\nconfine = "required"\ncommand = "sh {script}"\n')
    sandbox.git("add", "intarsia.toml")
    sandbox.git("commit", "-qm", "Configure")
    sandbox.issue("it-1")
    sandbox.ok("run")
    assert sandbox.show("x") == "x"
    assert not (sandbox.root / "y").exists()
    assert not (sandbox.root / ".git/y").exists()


def test_what_bubblewrap_is_told(turn: Turn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = fake_bwrap(tmp_path, monkeypatch)
    end, unenforced = run(turn, "echo done", Confinement("on", writable=("~/data",)))
    assert (end.outcome, end.last_message, unenforced) == ("completed", "confined\ndone\n", [])
    told = notes.read_text().splitlines()
    slot = turn.workspace.parent
    for option in ("--die-with-parent", "--unshare-pid", "--unshare-net", "--cap-drop"):
        assert option in told
    binds = [told[i + 1 : i + 3] for i, word in enumerate(told) if word == "--bind-try"]
    expected = [slot / "project", slot / "git", slot / "tmp", slot / "cache", tmp_path / "data"]
    assert binds == [[str(place)] * 2 for place in expected]
    assert told.index("--ro-bind") < told.index("--bind-try")
    assert told[told.index("--") :] == ["--", "sh", "-c", "echo done"]


def test_with_network_there_is_no_unsharing_of_it(turn: Turn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = fake_bwrap(tmp_path, monkeypatch)
    run(turn, "true", Confinement("on", network=True))
    assert "--unshare-net" not in notes.read_text().splitlines()


def test_the_git_directory_of_a_shared_tree_is_read_only(
    turn: Turn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_bwrap(tmp_path, monkeypatch)
    (turn.workspace / ".git").unlink()
    (turn.workspace / ".git").mkdir()
    argv = Confinement("on").wrap(["x"], turn)
    git = str(turn.workspace / ".git")
    assert argv.index("--chdir") > argv.index(git) > argv.index(str(turn.workspace))
    assert argv[argv.index(git) - 1] == "--ro-bind"


@pytest.mark.parametrize("broken", [True, False])
def test_where_it_can_not_be_done(broken: bool, turn: Turn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if broken:
        fake_bwrap(tmp_path, monkeypatch, then="echo 'bwrap: No permissions to create a new namespace' >&2; exit 1")
        why = "bwrap does not work here: bwrap: No permissions to create a new namespace"
    else:
        without_bwrap(tmp_path, monkeypatch)
        why = "bwrap (bubblewrap) is not installed."
    end, unenforced = run(turn, "echo free", Confinement("on"))
    assert (end.last_message, unenforced) == ("free\n", [f"Not confined: {why}"])
    with pytest.raises(NotReady, match="must be confined, and can't be"):
        CommandDriver("true", "", REQUIRED).check()
    with pytest.raises(NotReady):
        CommandDriver("true", "", REQUIRED).start(turn)


def test_whether_it_works_is_tried_once(turn: Turn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = fake_bwrap(tmp_path, monkeypatch)
    assert unavailable(network=False) == ""
    notes.unlink()
    assert unavailable(network=False) == ""
    assert not notes.exists()


def test_a_run_says_and_records_that_it_goes_on_unconfined(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = {"PATH": without_bwrap(tmp_path, monkeypatch)}
    script = tmp_path / "agent.sh"
    script.write_text("echo x > x; git add x; git commit -qm x\n")
    agent = f'[agents.a]\ndriver = "command"\ncommand = "sh {script}"\n'
    sandbox.write("intarsia.toml", agent + 'confine = "required"\n')
    sandbox.issue("it-1")
    done = sandbox.call("run", env=path)
    assert done.returncode == 2
    assert "must be confined, and can't be: bwrap (bubblewrap) is not installed." in done.stderr
    assert sandbox.sessions() == []
    assert sandbox.call("doctor", env=path).returncode == 2
    sandbox.write("intarsia.toml", '[run]\nconfine = "on"\n' + agent)
    assert "agents with confine = 'on' run without" in sandbox.ok("doctor", env=path)
    sandbox.ok("run", env=path)
    (event,) = sandbox.events("unenforced")
    assert event["data"]["reason"] == "Not confined: bwrap (bubblewrap) is not installed."


def test_settings_that_can_not_be(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match="is not absolute"):
        Confinement("on", writable=("data",))
    sandbox.write("intarsia.toml", '[agents.a]\ndriver = "script"\nscenario = "x"\nconfine = "required"\n')
    done = sandbox.call("run")
    assert done.returncode == 2
    assert "can't be confined: only those of 'command' can" in done.stderr
