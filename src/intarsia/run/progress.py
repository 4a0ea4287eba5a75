"""Showing a run: what happens is told to a reporter, and each kind of terminal has its own."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from intarsia.run import usage

# Details that only a line which is overwritten needs.
ROUTINE = ("", "preparing the workspace", "waiting for its turn", "checking the combination")
WAITING_SHOWN = 12
LONGEST_REASON = 2000


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
    limit: str = ""
    used: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 1 if self.blocked or self.parked or (self.limit and self.waiting) else 0

    def counts(self) -> dict[str, int]:
        return {name: len(getattr(self, name)) for name in ("landed", "closed", "blocked", "parked")}

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.exit_code == 0, **self.__dict__, "exit_code": self.exit_code}


class Reporter(Protocol):
    def started(self, session: str, issue: str, title: str, agent: str) -> None: ...
    def stage(self, session: str, stage: str, detail: str = "") -> None: ...
    def activity(self, session: str, text: str) -> None: ...
    def told(self, session: str, problem: str) -> None:
        """Its work was not accepted, and the agent goes on with this as its next prompt."""
        ...

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
                line.stage, line.activity = stage, printable(detail)

    def activity(self, session: str, text: str) -> None:
        with self.lock:
            if line := self.lines.get(session):
                line.activity = printable(text)

    def told(self, session: str, problem: str) -> None:
        with self.lock:
            if line := self.lines.get(session):
                line.stage, line.activity = "working", printable(problem)

    def close(self) -> None:
        """Nothing to undo unless a reporter took the terminal over."""

    def remove(self, session: str) -> Line | None:
        with self.lock:
            return self.lines.pop(session, None)


def printable(text: str, longest: int = 200) -> str:
    """One line that can't move the cursor or change colours."""
    return "".join(c if c.isprintable() else " " for c in text[: longest * 2]).strip()[:longest]


class PlainReporter(Board):
    """A line for every change; for pipes and logs."""

    def __init__(self, out: IO[str] | None = None) -> None:
        super().__init__()
        self._out = out or sys.stdout

    def started(self, session: str, issue: str, title: str, agent: str) -> None:
        super().started(session, issue, title, agent)
        self._print(issue, f"started with {agent}: {printable(title)}")

    def stage(self, session: str, stage: str, detail: str = "") -> None:
        with self.lock:
            line = self.lines.get(session)
            news = line is not None and (detail not in ROUTINE or line.stage != stage == "landing")
            super().stage(session, stage, detail)
        if line and news:
            self._print(line.issue, stage if detail in ROUTINE else f"{stage}: {printable(detail)}")

    def told(self, session: str, problem: str) -> None:
        super().told(session, problem)
        if line := self.lines.get(session):
            self._print(line.issue, f"told: {printable(problem)}")

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
            print(f"{time.strftime('%H:%M:%S')}  {who:<8}  {text}", file=self._out, flush=True)


class JsonReporter(Board):
    """One JSON object per line; the last one is the summary."""

    def started(self, session: str, issue: str, title: str, agent: str) -> None:
        super().started(session, issue, title, agent)
        self._print("started", session=session, issue=issue, title=title, agent=agent)

    def stage(self, session: str, stage: str, detail: str = "") -> None:
        super().stage(session, stage, detail)
        self._print("stage", session=session, stage=stage, detail=detail)

    def told(self, session: str, problem: str) -> None:
        super().told(session, problem)
        self._print("told", session=session, problem=problem)

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


@dataclass(frozen=True)
class Entry:
    """One issue in the summary: what became of it, and below that what a person needs to know."""

    word: str
    issue: str
    text: str
    below: tuple[str, ...] = ()

    @classmethod
    def make(cls, word: str, issue: str, text: str, *below: str) -> Entry:
        return cls(word, issue, printable(text), tuple(printable(line, LONGEST_REASON) for line in below))


def headline(summary: Summary) -> str:
    return f"Run {summary.run} on {summary.target}: {_counted(summary)} in {summary.seconds:.1f} s."


def entries(summary: Summary) -> list[Entry]:
    found = [Entry.make("landed", e["issue"], f"{e['commit'][:10]}  {e['title']}") for e in summary.landed]
    found += [Entry.make("closed", e["issue"], e["title"], f"{e['resolution']}: {e['detail']}") for e in summary.closed]
    for e in summary.blocked:
        see = f"see: intarsia session logs {e['session']}"
        found.append(Entry.make(e["outcome"], e["issue"], e["title"], e["reason"], see))
    found += [Entry.make("parked", e["issue"], e["title"], e["reason"]) for e in summary.parked]
    return found


def waiting(summary: Summary) -> str:
    """The issues that are still open."""
    shown, more = summary.waiting[:WAITING_SHOWN], len(summary.waiting) - WAITING_SHOWN
    return f"{', '.join(shown)}{f' and {more} more' if more > 0 else ''} (see: intarsia issue list)" if shown else ""


def summary_lines(summary: Summary) -> list[str]:
    lines = ["", headline(summary)]
    found = entries(summary)
    width = max((len(entry.issue) for entry in found), default=0)
    for entry in found:
        lines.append(f"  {entry.word:<8}  {entry.issue:<{width}}  {entry.text}")
        lines += [" " * (14 + width) + text for text in entry.below]
    lines += [f"  {'open':<8}  {waiting(summary)}"] if summary.waiting else []
    lines += [f"  {'limit':<8}  {summary.limit}"] if summary.limit else []
    return lines + ([f"  {'used':<8}  {used(summary)}"] if used(summary) else [])


def used(summary: Summary) -> str:
    """What agents told that they used."""
    figures = summary.used
    return usage.shown(figures) if figures.get("input") or figures.get("output") or figures.get("cost") else ""


def _counted(summary: Summary) -> str:
    said = [f"{count} {'not done' if name == 'blocked' else name}" for name, count in summary.counts().items() if count]
    return ", ".join(said) or "nothing to do"
