"""What init writes for agents: our block in AGENTS.md leaves the rest byte for byte, and is renewed in its place."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from intarsia.cli.instructions import BEGIN, END, with_block
from intarsia.errors import Conflict
from tests.support.sandbox import Sandbox

SKILL = ".claude/skills/intarsia/SKILL.md"


def test_init_writes_both_and_again_changes_nothing(sandbox: Sandbox) -> None:
    first = sandbox.json("init", "--agents-md", "--skill")
    assert first["written"] == {"AGENTS.md": True, SKILL: True}
    before = {path.name: path.read_bytes() for path in (sandbox.root / "AGENTS.md", sandbox.root / SKILL)}
    again = sandbox.json("init", "--agents-md", "--skill")
    assert again["written"] == {"AGENTS.md": False, SKILL: False}
    assert before == {path.name: path.read_bytes() for path in (sandbox.root / "AGENTS.md", sandbox.root / SKILL)}
    assert sandbox.json("init")["code"] == "conflict"


def test_what_can_not_be_written_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.write("AGENTS.md", BEGIN.decode())
    assert sandbox.json("init", "--agents-md", "--skill")["code"] == "conflict"
    assert sandbox.git("status", "--porcelain") == "?? AGENTS.md"


def test_a_dry_run_writes_nothing(sandbox: Sandbox) -> None:
    assert sandbox.json("init", "--agents-md", "--skill", "--dry-run")["written"] == {"AGENTS.md": True, SKILL: True}
    assert sandbox.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    "text", [b"", b"# Ours\n", b"# Ours", b"# Ours\r\n\r\nText\r\n", b"\xff\xfe\n", b"\xef\xbb\xbf# x\n"]
)
def test_all_else_stays_byte_for_byte(text: bytes) -> None:
    once = with_block(text, b"one\ntwo\n")
    assert once.startswith(text)
    assert with_block(once, b"one\ntwo\n") == once
    renewed = with_block(once + b"After\n", b"three\n")
    assert renewed.startswith(text)
    assert renewed.endswith(END + once.partition(END)[2] + b"After\n")
    assert b"three" in renewed
    assert b"one" not in renewed
    if b"\r\n" in text:
        assert b"\n" not in once.replace(b"\r\n", b"")


@pytest.mark.parametrize("text", [BEGIN, END, END + BEGIN, BEGIN + BEGIN + END, BEGIN + END + END])
def test_broken_marks_are_refused(text: bytes) -> None:
    with pytest.raises(Conflict):
        with_block(text, b"x")


def test_a_link_is_followed_inside_the_repository_only(sandbox: Sandbox) -> None:
    sandbox.ok("init")
    sandbox.write("docs/agents.md", "# Ours\n")
    link = sandbox.root / "AGENTS.md"
    link.symlink_to("docs/agents.md")
    sandbox.ok("init", "--agents-md")
    assert link.is_symlink()
    assert "intarsia issue new" in (sandbox.root / "docs/agents.md").read_text()
    link.unlink()
    outside = sandbox.root.parent / "outside.md"
    outside.write_text("x")
    link.symlink_to(outside)
    assert sandbox.json("init", "--agents-md")["code"] == "conflict"
    assert outside.read_text() == "x"


def test_every_command_that_agents_are_told_of_is_there(sandbox: Sandbox) -> None:
    sandbox.ok("init", "--agents-md", "--skill")
    text = (sandbox.root / "AGENTS.md").read_text() + (sandbox.root / SKILL).read_text()
    named = set(re.findall(r"intarsia ((?:[a-z]+)(?: [a-z]+)?)", "\n".join(re.findall(r"`(intarsia [^`]+)`", text))))
    assert len(named) > 10
    for command in named:
        done = subprocess.run([sys.executable, "-m", "intarsia", *command.split(), "--help"], check=False)
        assert done.returncode == 0, command
