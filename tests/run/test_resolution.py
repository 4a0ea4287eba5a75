"""Endings without a commit: what an agent may say, and that it is believed only where it holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from intarsia.errors import InputError
from intarsia.run import resolution
from tests.support.sandbox import Sandbox, Step


@pytest.mark.parametrize("kind", resolution.KINDS)
def test_a_marker_at_the_start_of_one_of_the_last_lines_counts(kind: str) -> None:
    said = f"I looked.\n\nISSUE_{kind.upper()}:  because of it-2  \nThat is all.\n"
    assert resolution.in_message(said) == resolution.make(kind, "because of it-2")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "I could say ISSUE_NO_CHANGE: but not here",
        " ISSUE_NO_CHANGE: indented",
        "> ISSUE_NO_CHANGE: quoted",
        "- ISSUE_NO_CHANGE: listed",
        "ISSUE_NO_CHANGE:",
        "ISSUE_NO_CHANGE:   ",
        "ISSUE_NO_CHANGE because",
        "issue_no_change: small",
        "ISSUE_NO_CHANGES: plural",
        "ISSUE_NO_CHANGE: too early\n" + "word\n" * 20,
        "before\rISSUE_BLOCKED",
    ],
)
def test_anything_else_does_not(message: str) -> None:
    assert resolution.in_message(message) is None


def test_the_last_marker_counts() -> None:
    said = "ISSUE_OBSOLETE: first\nISSUE_NO_CHANGE: second\nISSUE_BLOCKED:\n"
    assert resolution.in_message(said) == resolution.make("no_change", "second")


def test_a_rationale_is_one_line_that_a_terminal_can_show() -> None:
    assert resolution.make("no_change", " a\x1b[2J\nb\x00 ").rationale == "a [2J b"


@pytest.mark.parametrize(("kind", "why"), [("no_change", " "), ("nonsense", "why"), ("NO_CHANGE", "why")])
def test_a_resolution_needs_a_known_kind_and_a_reason(kind: str, why: str) -> None:
    with pytest.raises(InputError):
        resolution.make(kind, why)


def test_code_is_told_from_documentation_by_the_whole_path_or_the_name() -> None:
    files = ["docs/a.md", "src/deep/b.py", "Makefile", "sub/Makefile", "c.PY"]
    assert resolution.code_among(files, ["*.py", "Makefile"]) == ["src/deep/b.py", "Makefile", "sub/Makefile"]
    assert resolution.code_among(files, []) == files


def says(text: str, *before: Step) -> list[list[Step]]:
    return [[*before, {"say": text}]]


def test_each_ending_is_believed_only_where_it_holds(sandbox: Sandbox) -> None:
    """The one check always fails, so that only documentation can land."""
    there = sandbox.commit("intarsia.toml", "[checks]\nnever = 'false'\n", "Configure")
    sandbox.git("branch", "side")
    elsewhere = sandbox.git("commit-tree", "main^{tree}", "-p", "main", "-m", "Elsewhere")
    sandbox.git("update-ref", "refs/heads/side", elsewhere)
    doc: list[Step] = [{"write": "guide.md", "text": "1\n"}, {"commit": "Guide"}]
    code: list[Step] = [{"write": "code.py", "text": "1\n"}, {"commit": "Code"}]
    beside: Step = {"shell": "git checkout -qb x; echo 1 > f; git add f; git commit -qm x; git checkout -q -"}
    true = {
        "no-change": (says("ISSUE_NO_CHANGE: it is so"), "no_change"),
        "obsolete": (says("ISSUE_OBSOLETE: the feature is gone"), "obsolete"),
        "complete": (says(f"ISSUE_ALREADY_COMPLETE: by {there[:9]}"), "already_complete"),
        "docs": (says("ISSUE_DOCS_ONLY: only the guide", *doc), "landed"),
    }
    lies = {
        "commits": (says("ISSUE_NO_CHANGE: none", *code), "You said ISSUE_NO_CHANGE, but you made 1 commits."),
        "dirty": (says("ISSUE_OBSOLETE: gone", {"write": "left.py", "text": ""}), "these files are changed: left.py"),
        "beside": (says("ISSUE_NO_CHANGE: none", beside), "there are commits on x"),
        "names-none": (says("ISSUE_ALREADY_COMPLETE: long ago"), "named no commit that is on main"),
        "names-other": (says(f"ISSUE_ALREADY_COMPLETE: {elsewhere}"), "named no commit that is on main"),
        "names-junk": (says("ISSUE_ALREADY_COMPLETE: deadbeef99"), "named no commit that is on main"),
        "names-issue": (says("ISSUE_ALREADY_COMPLETE: by complete and no-change"), "named no commit that is on main"),
        "code": (says("ISSUE_DOCS_ONLY: only docs", *code), "are not documentation: code.py"),
        "no-docs": (says("ISSUE_DOCS_ONLY: only docs"), "There is no commit of yours"),
        "in-prose": (says("The ISSUE_NO_CHANGE: marker"), "There is no commit of yours"),
        "plain": (
            [[{"write": "plain.py", "text": ""}, {"commit": "Plain"}]],
            "The check never failed with exit code 1",
        ),
    }
    waits = {
        "waits": (says("ISSUE_BLOCKED: (needs 'later', first)", *code), "open"),
        "waits-for-none": (says("ISSUE_BLOCKED: a person must decide"), "blocked"),
        "waits-for-itself": (says("ISSUE_BLOCKED: by waits-for-itself"), "blocked"),
    }
    scripts = {issue: script for issue, (script, _) in {**true, **lies, **waits}.items()}
    for issue in scripts:
        sandbox.issue(issue)
    sandbox.issue("later")
    agent = sandbox.scenario(scripts)
    only = [part for issue in scripts for part in ("--issue", issue)]
    done = sandbox.call("run", "--agent", agent, *only)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {issue["id"]: issue for issue in sandbox.json("issue", "list", "--all")["issues"]}
    sessions = {session["issue"]: session for session in sandbox.sessions()}
    assert {i: (found[i]["status"], found[i]["resolution"]) for i in true} == {
        i: ("closed", r) for i, (_, r) in true.items()
    }
    reasons = {i: (found[i]["status"], sessions[i]["reason"]) for i in lies}
    assert {i: r for i, r in reasons.items() if r[0] != "blocked" or lies[i][1] not in r[1]} == {}
    assert {i: found[i]["status"] for i in waits} == {i: status for i, (_, status) in waits.items()}
    assert found["waits"]["needs"] == ["later"]
    assert (found["waits"]["attempts"], found["waits-for-none"]["labels"]) == (0, ["needs-followup"])
    assert {sessions[issue]["stage"] for issue in waits} == {"released"}
    assert sandbox.files() == {"README.md", ".gitignore", "intarsia.toml", "guide.md"}
    assert sandbox.files("intarsia/waits/1") >= {"code.py"}
    assert sandbox.git("branch", "--list", "intarsia/no-change/*", "intarsia/docs/*") == ""


def test_only_the_session_itself_can_resolve_and_only_while_it_runs(sandbox: Sandbox) -> None:
    program = sandbox.root.parent / "agent.sh"
    program.write_text(
        "cd / && cd - > /dev/null\n"
        "INTARSIA_SECRET=wrong intarsia resolve obsolete 'Not me'; echo wrong secret: $?\n"
        "INTARSIA_SESSION=s-00000000 intarsia resolve obsolete 'Not me'; echo wrong session: $?\n"
        "env -u INTARSIA_SECRET intarsia resolve obsolete 'Not me'; echo no secret: $?\n"
        "intarsia resolve nonsense 'Not so'; echo wrong kind: $?\n"
        "intarsia resolve no_change ' '; echo no reason: $?\n"
        "intarsia resolve no_change 'All is well'; echo right: $?\n"
        "echo ISSUE_OBSOLETE: said but not declared\n",
        encoding="utf-8",
    )
    sandbox.issue("it-1")
    sandbox.ok("run", "--agent", f"command: sh {program}")
    (session,) = sandbox.sessions()
    folder = sandbox.root / ".intarsia/sessions" / session["id"]
    printed = (folder / "output-1.log").read_text()
    for line in ("wrong secret: 4", "wrong session: 4", "no secret: 2", "wrong kind: 2", "no reason: 4", "right: 0"):
        assert line in printed
    assert (session["stage"], session["reason"]) == ("done", "no_change: All is well")
    assert sandbox.json("issue", "show", "it-1")["issue"]["resolution"] == "no_change"
    assert [event["data"]["resolution"]["kind"] for event in sandbox.events("resolution_declared")] == ["no_change"]
    late = {"INTARSIA_SESSION": session["id"], "INTARSIA_SECRET": _secret(folder)}
    assert sandbox.call("resolve", "obsolete", "Too late", env=late).returncode in (1, 4)
    assert sandbox.sessions()[0]["reason"] == "no_change: All is well"


def _secret(folder: Path) -> str:
    path = folder / "secret"
    if not path.exists():
        return "gone"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_uid == os.getuid()
    return path.read_text()
