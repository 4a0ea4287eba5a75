"""What a person sees of a run: on terminals of any width, in pipes, with hostile titles."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from intarsia.run.live import LiveReporter
from intarsia.run.progress import JsonReporter, PlainReporter, Reporter, Summary

TITLE = "A title \x1b[2J that \r clears 屏幕 and goes on and on and on and on and on and on and on and on and on and on"
WHY = "The check test failed with exit code 1 after 0.2 s. It changed nothing when told so. " * 3


def play(reporter: Reporter) -> None:
    reporter.started("s-1", "ia-1", TITLE, "an-agent-with-a-long-name")
    reporter.stage("s-1", "working", "preparing the workspace")
    reporter.activity("s-1", "writes \x1b[31msrc/a.py")
    reporter.stage("s-1", "checking", "test")
    reporter.told("s-1", WHY)
    reporter.started("s-2", "ia-2", "Second", "agent")
    reporter.stage("s-2", "landing", "waiting for its turn")
    reporter.ended("s-2", "done", "landed as 0123456789")
    reporter.notice("Finishing what runs.")
    reporter.ended("s-1", "blocked", WHY)
    entry = {"issue": "ia-1", "session": "s-1", "title": TITLE, "reason": WHY, "outcome": "blocked"}
    landed = {"issue": "ia-2", "session": "s-2", "title": "Second", "reason": "", "commit": "0123456789abcdef"}
    reporter.finished(Summary("r-1", "main", 1.5, landed=[landed], blocked=[entry], waiting=["ia-3"]))
    reporter.close()
    reporter.close()


def live(width: int, height: int = 24) -> tuple[LiveReporter, io.StringIO]:
    out = io.StringIO()
    console = Console(
        file=out, width=width, height=height, force_terminal=True, color_system="standard", highlight=False
    )
    return LiveReporter(console), out


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    reporter, out = live(width)
    play(reporter)
    for line in out.getvalue().split("\n"):
        assert cell_len(Text.from_ansi(line.rsplit("\r", 1)[-1]).plain) <= width, line


@pytest.mark.parametrize("width", [80, 120])
def test_a_running_session_is_one_line_that_says_who_does_what(width: int) -> None:
    reporter, _ = live(width)
    console = Console(width=width, file=io.StringIO())
    for number in range(3):
        reporter.started(f"s-{number}", f"ia-{number}", "Parse dates", "claude")
        reporter.activity(f"s-{number}", "writes a.py")
    with console.capture() as captured:
        console.print(reporter._render())
    reporter.close()
    lines = [line for line in captured.get().splitlines() if "ia-" in line]
    assert len(lines) == 3
    for number, line in enumerate(lines):
        assert all(part in line for part in (f"ia-{number}", "Parse dates", "working", "claude", "writes a.py"))
        assert re.search(r"\b\d+ s\b", line)


def test_more_sessions_than_lines_are_counted() -> None:
    reporter, _ = live(80, height=10)
    for number in range(30):
        reporter.started(f"s-{number}", f"ia-{number}", "Title", "agent")
    console = Console(width=80, height=10, file=io.StringIO())
    with console.capture() as captured:
        console.print(reporter._render())
    reporter.close()
    assert len(captured.get().splitlines()) <= 10
    assert "and 24 more" in captured.get()
    assert "30 running" in captured.get()


def test_titles_can_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    reporter, out = live(120)
    play(reporter)
    assert "\x1b[2J" not in out.getvalue()
    assert "\x1b[31msrc" not in out.getvalue()
    play(PlainReporter())
    assert "\x1b" not in capsys.readouterr().out


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    reporter, out = live(80)
    play(reporter)
    assert "landed" in out.getvalue()
    assert not [code for code in ("31m", "32m", "33m", "36m") if f"\x1b[{code}" in out.getvalue()]


def test_plain_lines_tell_every_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    play(PlainReporter())
    lines = [re.sub(r"after \d+\.\d s", "after a while", line[20:]) for line in capsys.readouterr().out.splitlines()]
    assert [line.split(":")[0] for line in lines[:7]] == [
        "started with an-agent-with-a-long-name", "checking", "told", "started with agent", "landing",
        "done after a while", "Finishing what runs.",
    ]  # fmt: skip


def test_json_ends_with_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    play(JsonReporter())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [e["event"] for e in events] == [
        "started", "stage", "stage", "told", "started", "stage", "ended", "notice", "ended", "summary",
    ]  # fmt: skip
    assert events[-1]["exit_code"] == 1
    assert events[-1]["ok"] is False
