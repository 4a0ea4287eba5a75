"""Showing a run: what happens is told to a reporter, and each kind of terminal has its own."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import IO, Any, Protocol


@dataclass
class Line:
    """A running session, as shown."""

    session: str
    issue: str
    title: str
    agent: str
    stage: str
    since: float = field(default_factory=time.monotonic)
    activity: str = ""


@dataclass
class Summary:
    """How a run ended."""

    run: str
    target: str
    seconds: float
    landed: list[dict[str, str]] = field(default_factory=list)
    closed: list[dict[str, str]] = field(default_factory=list)
    blocked: list[dict[str, str]] = field(default_factory=list)
    parked: list[dict[str, str]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 1 if self.blocked or self.parked else 0

    def counts(self) -> dict[str, int]:
        return {name: len(getattr(self, name)) for name in ("landed", "closed", "blocked", "parked")}

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.exit_code == 0, **self.__dict__, "exit_code": self.exit_code}


class Reporter(Protocol):
    def started(self, session: str, issue: str, title: str, agent: str) -> None: ...
    def stage(self, session: str, stage: str, detail: str = "") -> None: ...
    def activity(self, session: str, text: str) -> None: ...
    def ended(self, session: str, outcome: str, detail: str = "") -> None: ...
    def notice(self, text: str) -> None: ...
    def finished(self, summary: Summary) -> None: ...
    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""
        ...


class Board:
    """The running sessions, kept for any reporter; its methods may be called from every thread."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.lock = threading.RLock()

    def started(self, session: str, issue: str, title: str, agent: str) -> None:
        with self.lock:
            self.lines[session] = Line(session, issue, title, agent, "working")

    def stage(self, session: str, stage: str, detail: str = "") -> None:
        with self.lock:
            if line := self.lines.get(session):
                line.stage, line.activity = stage, detail

    def activity(self, session: str, text: str) -> None:
        with self.lock:
            if line := self.lines.get(session):
                line.activity = printable(text)

    def close(self) -> None:
        """Nothing to undo unless a reporter took the terminal over."""

    def remove(self, session: str) -> Line | None:
        with self.lock:
            return self.lines.pop(session, None)


def printable(text: str) -> str:
    """One line that can't move the cursor or change colours."""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:200]


class PlainReporter(Board):
    """A line for every change; for pipes and logs."""

    def __init__(self, out: IO[str] | None = None) -> None:
        super().__init__()
        self._out = out or sys.stdout

    def started(self, session: str, issue: str, title: str, agent: str) -> None:
        super().started(session, issue, title, agent)
        self._print(issue, f"{agent} started: {title}")

    def stage(self, session: str, stage: str, detail: str = "") -> None:
        super().stage(session, stage, detail)
        if line := self.lines.get(session):
            self._print(line.issue, f"{stage}{': ' if detail else ''}{printable(detail)}")

    def ended(self, session: str, outcome: str, detail: str = "") -> None:
        if line := self.remove(session):
            seconds = time.monotonic() - line.since
            self._print(line.issue, f"{outcome} after {seconds:.1f} s{': ' if detail else ''}{printable(detail)}")

    def notice(self, text: str) -> None:
        self._print("intarsia", printable(text))

    def finished(self, summary: Summary) -> None:
        for text in summary_lines(summary):
            print(text, file=self._out, flush=True)

    def _print(self, who: str, text: str) -> None:
        with self.lock:
            print(f"{time.strftime('%H:%M:%S')} {who:<10} {text}", file=self._out, flush=True)


class JsonReporter(Board):
    """One JSON object per line; the last one is the summary."""

    def started(self, session: str, issue: str, title: str, agent: str) -> None:
        super().started(session, issue, title, agent)
        self._print("started", session=session, issue=issue, title=title, agent=agent)

    def stage(self, session: str, stage: str, detail: str = "") -> None:
        super().stage(session, stage, detail)
        self._print("stage", session=session, stage=stage, detail=detail)

    def ended(self, session: str, outcome: str, detail: str = "") -> None:
        line = self.remove(session)
        self._print("ended", session=session, issue=line.issue if line else None, outcome=outcome, detail=detail)

    def notice(self, text: str) -> None:
        self._print("notice", text=text)

    def finished(self, summary: Summary) -> None:
        self._print("summary", **summary.as_json())

    def _print(self, kind: str, **data: Any) -> None:
        with self.lock:
            print(json.dumps({"event": kind, **data}), flush=True)


def summary_lines(summary: Summary) -> list[str]:
    lines = ["", f"Run {summary.run} on {summary.target}: {_counted(summary)} in {summary.seconds:.1f} s."]
    for entry in summary.landed:
        lines.append(f"  landed   {entry['issue']:<10} {entry['commit'][:10]}  {entry['title']}")
    for entry in summary.closed:
        lines.append(f"  closed   {entry['issue']:<10} {entry['resolution']}: {entry['detail']}")
    for entry in summary.blocked:
        lines.append(f"  {entry['outcome']:<8} {entry['issue']:<10} {entry['reason']}")
        lines.append(f"           see: intarsia session logs {entry['session']}")
    for entry in summary.parked:
        lines.append(f"  parked   {entry['issue']:<10} {entry['reason']}")
    if summary.waiting:
        lines.append(f"  waiting  {', '.join(summary.waiting)} (for what is not done: intarsia issue list)")
    return lines


def _counted(summary: Summary) -> str:
    words = {"closed": "closed without a commit", "blocked": "not done"}
    said = [f"{count} {words.get(name, name)}" for name, count in summary.counts().items() if count]
    return ", ".join(said) or "nothing to do"
