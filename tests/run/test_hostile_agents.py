"""Agents that do wrong, by mistake or on purpose: each ends in a clear, recorded outcome, and harms nobody else."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.sandbox import Sandbox

COMMIT = 'echo "$INTARSIA_ISSUE" > "$INTARSIA_ISSUE.txt" && git add --all && git commit --quiet --message=Work\n'
NO_COMMIT = "There is no commit of yours on the current branch."
UNCHANGED = "It changed nothing when told so."


def agent(sandbox: Sandbox, scripts: Mapping[str, str]) -> str:
    """Make an issue for each of these shell scripts, which is what its agent runs; the value for `--agent`."""
    folder = sandbox.root.parent / "agents"
    folder.mkdir(exist_ok=True)
    for issue, script in scripts.items():
        (folder / f"{issue}.sh").write_text(script, encoding="utf-8")
        sandbox.issue(issue)
    return f"command: sh {shlex.quote(str(folder))}/{{issue}}.sh"


def run(sandbox: Sandbox, scripts: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return sandbox.call("run", "--agent", agent(sandbox, scripts), *options)


def private_parts(sandbox: Sandbox) -> dict[str, str]:
    """What of the user's repository no session may change: config, hooks, index, stash, tree, and refs not for us."""
    git = sandbox.root / ".git"
    files = [git / "config", git / "info/exclude", *sorted((git / "hooks").iterdir())]
    found = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}
    for line in sandbox.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines():
        ref, oid = line.split(" ")
        if not ref.startswith(("refs/heads/intarsia/", "refs/intarsia/", "refs/heads/main")):
            found[ref] = oid
    return {**found, "stash": sandbox.git("stash", "list")}


class Outcomes:
    """How the newest session of each issue ended, and all that a person is told of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._sessions = {session["issue"]: session for session in reversed(sandbox.sessions())}
        self._issues = {issue["id"]: issue for issue in sandbox.json("issue", "list", "--all")["issues"]}
        self._notes = {event["issue"]: event["data"]["note"] for event in sandbox.events("issue_blocked")}

    def session(self, issue: str) -> dict[str, Any]:
        found: dict[str, Any] = self._sessions[issue]
        return found

    def wrong(self, expected: Mapping[str, Sequence[str]], stage: str) -> dict[str, Any]:
        """Those that did not end in this stage with these words in the reason, or where something is not recorded."""
        return {issue: found for issue, words in expected.items() if (found := self._amiss(issue, stage, words))}

    def _amiss(self, issue: str, stage: str, words: Sequence[str]) -> list[str]:
        session, record = self._sessions[issue], self._issues[issue]
        amiss = [] if session["stage"] == stage else [f"{session['stage']}: {session['reason']}"]
        if stage == "done":
            return amiss or ([] if record["status"] == "closed" else [record["status"]])
        note = self._notes.get(issue, "")
        if record["status"] != "blocked" or "needs-followup" not in record["labels"]:
            amiss.append(f"{record['status']} {record['labels']}")
        amiss += [
            f"{word!r} is not in: {text}" for word in words for text in (session["reason"], note) if word not in text
        ]
        folder = self._sandbox.root / note.rpartition("Log: ")[2]
        return amiss if (folder / "output-1.log").is_file() else [*amiss, f"no log: {note}"]


def assert_landed(sandbox: Sandbox, issue: str) -> None:
    """It is closed, and all its commits on main carry exactly its trailers."""
    session = sandbox.sessions(issue)[0]
    assert (sandbox.status(issue), session["stage"]) == ("closed", "done"), session["reason"]
    trailers = landed_trailers(sandbox)
    assert [pair for pair in trailers if pair[0] == issue]
    assert all(pair == (issue, session["id"]) for pair in trailers if issue in pair or session["id"] in pair)


def landed_trailers(sandbox: Sandbox) -> list[tuple[str, ...]]:
    keys = ("Issue", "Intarsia-Session")
    wanted = "%x01".join(f"%(trailers:key={key},valueonly,separator=%x2C)" for key in keys)
    return [tuple(line.split("\x01")) for line in sandbox.git("log", f"--format={wanted}", "main").splitlines()]


def living(marker: str) -> list[psutil.Process]:
    """Processes with this text in their command line."""
    return [p for p in psutil.process_iter(["cmdline"]) if any(marker in part for part in p.info["cmdline"] or ())]


FIRST = '[ "$INTARSIA_TURN" = 1 ] || exit 0\n'
"""What follows is done in the first turn only."""


def test_those_that_leave_nothing_fit_to_land_are_told_so_and_then_set_aside(sandbox: Sandbox) -> None:
    sandbox.commit("second.txt", "2\n", "Second commit")
    side = 'git checkout -q -b side\necho 1 > a.txt; git add -A; git commit -q -m "On side"\n'
    hide = COMMIT + "echo changed >> README.md\ngit update-index --{} README.md\n"
    cases = {
        "nothing": ("true\n", [NO_COMMIT, UNCHANGED]),
        "claims": ("echo 'Done. Everything is implemented, tested and committed.'\n", [NO_COMMIT, UNCHANGED]),
        "empty": ("git commit -q --allow-empty -m Empty\n", ["Your commits change nothing", UNCHANGED]),
        "dirty": (COMMIT + "echo 1 > 'left over.txt'\n", ["not committed: left over.txt", UNCHANGED]),
        "nested": ("git init -q inner; echo 1 > inner/a\n", [NO_COMMIT, "not committed: inner/"]),
        "beside": (side + "git checkout -q -\n", [NO_COMMIT, "other branches: side"]),
        "skip": (hide.format("skip-worktree"), ["not committed: README.md"]),
        "assume": (hide.format("assume-unchanged"), ["not committed: README.md"]),
        "exclude": (COMMIT + "echo '*.o' > ../git/info/exclude\necho 1 > a.o\n", ["not committed: a.o"]),
        "odd": (r"""touch "$(printf 'a\nb\033[31m "\377.txt')" """, [NO_COMMIT, r'a\nb\x1b[31m "\xff.txt']),
        "orphan": ("git checkout -q --orphan lone; git rm -rqf .\n", [NO_COMMIT]),
        "unborn": ("git update-ref -d HEAD\n", [NO_COMMIT]),
        "root": ("git checkout -q --orphan lone; git commit -q -m Root; echo\n" + COMMIT, ["does not contain"]),
        "older": ("git reset -q --hard HEAD~1\n" + COMMIT, ["does not contain"]),
        "gitless": (COMMIT + "rm -rf ../git\n", [NO_COMMIT]),
        "gone": ('rm -rf "$PWD"\n', [NO_COMMIT, "was deleted"]),
        "slotless": ('rm -rf "$(dirname "$PWD")"\n', [NO_COMMIT, "was deleted"]),
    }
    before = private_parts(sandbox)
    scripts = {issue: FIRST + script for issue, (script, _) in cases.items()}
    done = run(sandbox, {**scripts, "honest": COMMIT})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    outcomes = Outcomes(sandbox)
    assert outcomes.wrong({issue: words for issue, (_, words) in cases.items()}, "blocked") == {}
    assert {outcomes.session(issue)["turn"] for issue in cases} == {2}
    assert_landed(sandbox, "honest")
    assert sandbox.files() == {"README.md", ".gitignore", "second.txt", "honest.txt"}
    assert private_parts(sandbox) == before
    assert kept_files(sandbox, outcomes.session("dirty")) >= {"dirty.txt", "left over.txt"}
    assert kept_files(sandbox, outcomes.session("beside"), "end/heads/side") >= {"a.txt"}
    assert sandbox.files("intarsia/dirty/1") >= {"dirty.txt"}


def kept_files(sandbox: Sandbox, session: Mapping[str, Any], which: str = "end/work") -> set[str]:
    """The files of the newest archive of a session."""
    refs = sandbox.git("for-each-ref", "--format=%(refname)", f"refs/intarsia/archive/{session['id']}/{which}")
    return sandbox.files(refs.splitlines()[-1])


def test_those_that_did_the_work_land_it_whatever_else_they_did(sandbox: Sandbox) -> None:
    root = '"$INTARSIA_ROOT"'
    tampering = {
        "config": "git config core.hooksPath /tmp/evil; git config user.name Nobody\n",
        "hooks": "printf '#!/bin/sh\\nexit 1\\n' > ../git/hooks/pre-push; chmod +x ../git/hooks/pre-push\n",
        "dotgit": "rm -rf .git\n",
        "dotgitlink": f"rm -rf .git; ln -s {root}/.git .git\n",
        "commondir": f"echo {root}/.git > ../git/commondir\n",
        "hooklink": f"rm -rf ../git/hooks; ln -s {root}/.git/hooks ../git/hooks\n",
        "infolink": f"rm -rf ../git/info; ln -s {root}/.git/info ../git/info\n",
        "garbage": "printf '\\377\\376' > .git\n",
    }
    harmless = {
        "refs": "git update-ref refs/heads/main HEAD; git update-ref refs/tags/v1 HEAD; git branch -f other HEAD\n",
        "stash": "echo 1 >> README.md; git stash -q\n",
        "other": "git checkout -q -b other; git branch -q -D intarsia/other/1\n",
        "detached": "git checkout -q --detach\n",
        "gone": 'rm -rf "$PWD"\n',
        "linked": f'here=$PWD; rm -rf "$here"; ln -s {root} "$here"\n',
        "loud": "printf '\\033[2J\\033]0;title\\007'; printf '\\377\\376\\n'; head -c 3000000 /dev/zero | tr '\\0' x\n",
        "gc": "git gc -q --prune=now\n",
        "locks": "touch ../git/index.lock ../git/HEAD.lock\n",
    }
    lies = {
        "trailers": "git commit -q --amend -m 'Work' -m 'Issue: it-99\nIntarsia-Session: other\nReviewed-by: Me'\n",
        "prefix": "git commit -q --amend -m 'Issue: honest' -m 'intarsia-session: s-00000000'\n",
    }
    cases = {**tampering, **harmless, **lies}
    names = (
        r"""touch 'a b.txt' "$(printf 'new\nline.txt')" 'quo"te.txt' "$(printf 'latin\351.txt')" ':(x)*.txt'""" + "\n"
    )
    scripts = {**{issue: COMMIT + script for issue, script in cases.items()}, "names": names + COMMIT, "honest": COMMIT}
    sandbox.git(
        "stash", "push", "--include-untracked", "--quiet", "--message=Mine", "--", sandbox.write("x.txt", "").name
    )
    before = private_parts(sandbox)
    done = run(sandbox, scripts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {"\x1b", "\x07"} & set(done.stdout)
    assert Outcomes(sandbox).wrong(dict.fromkeys(scripts, ()), "done") == {}
    assert sandbox.files() >= {f"{issue}.txt" for issue in scripts}
    assert private_parts(sandbox) == before
    tampered = {event["issue"] for event in sandbox.events("workspace_tampered")}
    assert set(tampering) <= tampered
    assert not tampered & {"honest", "refs", "stash", "other", "detached", "loud"}
    assert {event["issue"] for event in sandbox.events("workspace_lost")} == {"gone", "linked"}
    assert_exact_trailers(sandbox)
    assert "Reviewed-by: Me" in sandbox.git("log", "--format=%B", "main")
    assert (sandbox.root / ".git").is_dir()
    assert sandbox.git("status", "--porcelain") == ""


def assert_exact_trailers(sandbox: Sandbox) -> None:
    """Every landed commit carries one issue and one session: its own."""
    sessions = {session["id"]: session["issue"] for session in sandbox.sessions()}
    for issue, session in [pair for pair in landed_trailers(sandbox) if any(pair)]:
        assert sessions[session] == issue


def test_harm_to_the_users_repository_by_its_path_is_recorded_and_shown(sandbox: Sandbox) -> None:
    sandbox.git("branch", "other")
    harm = (
        'git -C "$INTARSIA_ROOT" update-ref refs/heads/other HEAD~0 && git -C "$INTARSIA_ROOT" branch new\n'
        'git -C "$INTARSIA_ROOT" config core.fsmonitor /bin/false\n'
        'printf "#!/bin/sh\\n" > "$INTARSIA_ROOT/.git/hooks/post-merge"\n'
    )
    done = run(sandbox, {"bad": harm + COMMIT, "good": COMMIT}, "-n", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_landed(sandbox, "good")
    (event,) = sandbox.events("repository_changed")
    assert (event["issue"], event["data"]["changed"]) == ("bad", ["config", "hooks/post-merge", "refs/heads/new"])
    assert "bad: while it worked, your repository changed: config, hooks/post-merge, refs/heads/new" in done.stdout


@pytest.mark.parametrize("how", ["update-ref", "pull"])
def test_a_session_that_moves_the_target_by_itself_is_put_back(sandbox: Sandbox, how: str) -> None:
    fetch = 'git -C "$INTARSIA_ROOT" fetch -q "$PWD" HEAD\n'
    moves = {
        "update-ref": f'{fetch}git -C "$INTARSIA_ROOT" update-ref refs/heads/main "$(git rev-parse HEAD)"\n',
        "pull": f'{fetch}git -C "$INTARSIA_ROOT" merge -q --ff-only FETCH_HEAD\n',
    }
    sandbox.write("README.md", "Mine, uncommitted.\n")
    twice = COMMIT + moves[how] + "echo 2 > second.txt; git add -A; git commit -q -m Second\n" + moves[how]
    done = run(sandbox, {"good-1": COMMIT, "bad": twice, "good-2": COMMIT}, "-n", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert Outcomes(sandbox).wrong({"bad": ["The agent moved main by itself; that was put back."]}, "failed") == {}
    assert Outcomes(sandbox).wrong({"good-1": (), "good-2": ()}, "done") == {}
    assert sandbox.files() == {"README.md", ".gitignore", "good-1.txt", "good-2.txt"}
    assert [event["issue"] for event in sandbox.events("target_put_back")] == ["bad"]
    assert sandbox.files("intarsia/bad/1") >= {"bad.txt", "second.txt"}
    assert sandbox.git("status", "--porcelain") == "M README.md"
    assert_exact_trailers(sandbox)


def test_work_of_others_is_not_accepted_as_ones_own(sandbox: Sandbox) -> None:
    """Landed by another: nothing is left to land. Not landed yet: it has to wait for the one whose it is."""
    take = 'git fetch -q "$INTARSIA_ROOT" {} && git {} FETCH_HEAD\n'
    sandbox.commit("intarsia.toml", "[checks]\nfine = '! grep -q bad *.txt'\n", "Configure")
    scripts = {
        "a-landed": COMMIT,
        "b-red": FIRST + "echo bad > red.txt; git add -A; git commit -q -m 'Red work'\n",
        "c-forwards": FIRST + take.format("main", "merge -q --ff-only"),
        "d-claims": FIRST + "git commit -q --allow-empty -m 'Work for a-landed, b-red and d-claims'\n",
        "e-merges": FIRST + COMMIT + take.format("intarsia/b-red/1", "merge -q --no-ff -m Merged"),
        "f-resets": FIRST + take.format("intarsia/b-red/1", "reset -q --hard") + COMMIT,
    }
    done = run(sandbox, scripts, "-n", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    outcomes = Outcomes(sandbox)
    others = "work of others that has not landed: intarsia/b-red/1"
    expected = {
        "b-red": ["The check fine failed"],
        "c-forwards": [NO_COMMIT],
        "d-claims": ["Your commits change nothing"],
        "e-merges": [others],
        "f-resets": [others],
    }
    assert outcomes.wrong(expected, "blocked") == {}
    assert outcomes.wrong({"a-landed": ()}, "done") == {}
    assert sandbox.files() == {"README.md", ".gitignore", "intarsia.toml", "a-landed.txt"}


def test_a_failed_sessions_work_is_kept_and_its_slot_holds_no_trace_of_it(sandbox: Sandbox) -> None:
    mess = (
        COMMIT
        + "echo 2 > uncommitted.txt; echo 3 > kept.ignored; echo 4 >> README.md; mkdir -p deep/er; touch deep/er/x\n"
        'git update-index --skip-worktree README.md; git config alias.evil "!false"; git stash list\n'
        'git tag evil; echo 5 > "$TMPDIR/left"; touch ../git/MERGE_HEAD; git worktree add -q ../second; exit 9\n'
    )
    look = (
        '[ -z "$(git status --porcelain --ignored)" ] && [ -z "$(ls "$TMPDIR")" ] && [ "$(ls -A)" = "$(printf ".git\\n'
        '.gitignore\\nREADME.md")" ] && [ "$(cat README.md)" = "A sandbox." ] && ! git config alias.evil && '
        '[ -z "$(git tag)" ] && [ "$(git branch --format="%(refname:short)")" = intarsia/b-clean/1 ] && '
        "[ ! -e ../git/MERGE_HEAD ] || exit 7\n"
    )
    done = run(sandbox, {"a-mess": mess, "b-clean": look + COMMIT}, "-n", "1")
    assert done.returncode == 1
    assert Outcomes(sandbox).wrong({"a-mess": ["The agent failed. It ended with exit code 9."]}, "failed") == {}
    assert Outcomes(sandbox).wrong({"b-clean": ()}, "done") == {}
    session = sandbox.sessions("a-mess")[0]
    work = f"refs/intarsia/archive/{session['id']}/end/work"
    assert sandbox.files(work) >= {"a-mess.txt", "uncommitted.txt", "deep/er/x"}
    assert sandbox.show("README.md", work) == "A sandbox.\n4"
    assert sandbox.show("a-mess.txt", "intarsia/a-mess/1") == "a-mess"
    assert [path.name for path in (sandbox.root / ".intarsia/worktrees").iterdir()] == ["1"]


def test_picking_what_another_landed_meanwhile_is_nothing_to_land(sandbox: Sandbox) -> None:
    flag = sandbox.root.parent / "picker-has-begun"
    wait = "until {}; do sleep 0.02; done\n"
    picks = f"{FIRST}touch {flag}\n" + wait.format('git -C "$INTARSIA_ROOT" cat-file -e main:worker.txt 2> /dev/null')
    picks += 'git fetch -q "$INTARSIA_ROOT" main && git cherry-pick -x FETCH_HEAD\n'
    done = run(sandbox, {"worker": wait.format(f"[ -e {flag} ]") + COMMIT, "picker": picks}, "-n", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert Outcomes(sandbox).wrong({"picker": ["change nothing on main: the same is there already"]}, "blocked") == {}
    assert Outcomes(sandbox).wrong({"worker": ()}, "done") == {}
    assert [pair[0] for pair in landed_trailers(sandbox) if any(pair)] == ["worker"]


def test_what_cannot_be_archived_is_set_aside_whole(sandbox: Sandbox) -> None:
    scripts = {
        "a-index": COMMIT + "rm -rf ../git/index; mkdir ../git/index; echo 1 > new.txt; exit 3\n",
        "b-objects": COMMIT + "rm -rf ../git/objects; echo 1 > new.txt\n",
        "c-owner": COMMIT + "printf '../../\\377' > ../owner; rm -rf ../git/objects; echo 1 > new.txt\n",
        "d-next": COMMIT,
    }
    done = run(sandbox, scripts, "-n", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    outcomes = Outcomes(sandbox)
    assert outcomes.wrong({"d-next": ()}, "done") == {}
    assert outcomes.wrong(dict.fromkeys(["a-index", "b-objects", "c-owner"], ()), "failed") == {}
    recorded = sandbox.events("work_not_archived")
    assert [event["issue"] for event in recorded] == ["a-index", "b-objects", "c-owner"]
    folders = sandbox.root / ".intarsia/sessions"
    for owner in (outcomes.session("a-index")["id"], outcomes.session("b-objects")["id"], "unknown"):
        assert [path.read_text() for path in (folders / owner).glob("workspace-1/project/new.txt")] == ["1\n"]


LIMITS = "[limits]\nwall = 8\noutput = 1000000\n"


def test_limits_end_agents_that_hang_or_flood_with_all_they_started(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.commit("intarsia.toml", LIMITS, "Configure")
    mark = f"{tmp_path.name}-{os.getpid()}"
    stubborn = f"trap '' TERM; : {mark}\n"
    cases = {
        "hangs": (f"{stubborn}while :; do echo alive; sleep 0.2; done\n", ["took too long", "longer than 8 s"]),
        "floods": (f"{stubborn}while :; do head -c 500000 /dev/zero | tr '\\0' x; done\n", ["more than 1000000 bytes"]),
        "line": ("head -c 9000000 /dev/zero\n", ["more than 1000000 bytes"]),
    }
    done = run(sandbox, {**{issue: script for issue, (script, _) in cases.items()}, "honest": COMMIT})
    assert done.returncode == 1
    assert Outcomes(sandbox).wrong({issue: words for issue, (_, words) in cases.items()}, "failed") == {}
    assert_landed(sandbox, "honest")
    logs = (sandbox.root / ".intarsia/sessions").glob("*/output-1.log")
    assert max(log.stat().st_size for log in logs) <= 1_000_000
    assert not living(f"{sandbox.root.parent}/agents")


def test_a_silent_agent_is_ended_at_the_idle_limit(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[limits]\nidle = 1\n", "Configure")
    assert run(sandbox, {"silent": "echo first; sleep 3600\n"}).returncode == 1
    assert Outcomes(sandbox).wrong({"silent": ["hung", "printed nothing for 1 s"]}, "failed") == {}
    assert not living(f"{sandbox.root.parent}/agents")


def test_100_megabytes_of_output_end_at_the_default_limit(sandbox: Sandbox) -> None:
    flood = COMMIT + "head -c 100000000 /dev/zero | tr '\\0' x; sleep 60\n"
    assert run(sandbox, {"flood": flood}).returncode == 1
    assert Outcomes(sandbox).wrong({"flood": ["printed too much", "more than 67108864 bytes"]}, "failed") == {}
    (log,) = (sandbox.root / ".intarsia/sessions").glob("*/output-1.log")
    assert log.stat().st_size == 67_108_864
    assert sandbox.show("flood.txt", "intarsia/flood/1") == "flood"


def test_a_daemon_does_not_outlive_its_turn(sandbox: Sandbox) -> None:
    daemon = 'setsid sh -c "while :; do sleep 1; done" daemon-$INTARSIA_SESSION > /dev/null 2>&1 &\n'
    assert run(sandbox, {"forks": daemon + COMMIT}).returncode == 0
    session = sandbox.sessions("forks")[0]
    assert session["stage"] == "done"
    assert not living(f"daemon-{session['id']}")
    (event,) = sandbox.events("processes_ended")
    assert event["session"] == session["id"]
    assert event["data"]["count"] >= 1


def test_an_agent_that_is_killed_is_tried_again_and_then_set_aside(sandbox: Sandbox) -> None:
    assert run(sandbox, {"killed": "kill -9 $$\n", "fails": "exit 3\n"}).returncode == 1
    words = {"killed": ["The agent was killed. It ended with signal 9."], "fails": ["It ended with exit code 3."]}
    assert Outcomes(sandbox).wrong(words, "failed") == {}
    assert [session["attempt"] for session in sandbox.sessions("killed")] == [3, 2, 1]
    assert [session["attempt"] for session in sandbox.sessions("fails")] == [1]


@pytest.mark.parametrize("arguments", ["", " {prompt_file}"])
def test_a_prompt_of_200_kilobytes_arrives_whole(sandbox: Sandbox, arguments: str) -> None:
    body = "line with ünïcode, $dollars, {braces} and %s\n" * 4_500
    program = sandbox.root.parent / "reads.sh"
    program.write_text("cat ${1:-} > prompt.txt; git add -A; git commit -q -m Prompt\n", encoding="utf-8")
    new = [sys.executable, "-m", "intarsia", "issue", "new", "Big", "--id", "big", "--body", "-"]
    subprocess.run(new, input=body.encode(), cwd=sandbox.root, env=sandbox.env, check=True, stdout=subprocess.DEVNULL)
    sandbox.ok("run", "--agent", f"command: sh {program}{arguments}")
    assert len(body.encode()) > 200_000
    assert body.strip() in sandbox.show("prompt.txt")
