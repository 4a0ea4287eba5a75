"""The run on a terminal: what has ended, line by line; below it a line for each running session, kept up to date."""

from __future__ import annotations

import textwrap
import time
from collections import Counter

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from intarsia.run.progress import Board, Line, Summary, entries, headline, printable, used, waiting

REFRESH = 10
COLOURS = {"working": "cyan", "checking": "yellow", "reviewing": "yellow", "landing": "magenta"}
ENDINGS = {
    "landed": ("✓", "green"),
    "closed": ("✓", "green"),
    "done": ("✓", "green"),
    "parked": ("‖", "yellow"),
    "released": ("↩", "yellow"),
}
WRONG = ("✗", "red")
# From these widths on, there is room for a column more.
WITH_ACTIVITY, WITH_AGENT = 60, 76


class LiveReporter(Board):
    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._console = console or Console(highlight=False)
        self._began = time.monotonic()
        self._ended: Counter[str] = Counter()
        self._widths = {"issue": 5, "agent": 6}
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=REFRESH,
            transient=True,
            vertical_overflow="crop",
        )
        self._live.start()

    def started(self, session: str, issue: str, title: str, agent: str) -> None:
        super().started(session, issue, title, agent)
        with self.lock:
            self._widths["issue"] = min(max(self._widths["issue"], len(issue)), 16)
            self._widths["agent"] = min(max(self._widths["agent"], len(agent)), 12)

    def told(self, session: str, problem: str) -> None:
        super().told(session, problem)
        if line := self.lines.get(session):
            self._print_ended(line, "↻", "yellow", "told to repair it", printable(problem))

    def ended(self, session: str, outcome: str, detail: str = "") -> None:
        line = self.remove(session)
        if line is None:
            return
        detail = printable(detail)
        word = ("landed" if detail.startswith("landed") else "closed") if outcome == "done" else outcome
        with self.lock:
            self._ended[word] += 1
        if word == "landed":
            self._print_ended(line, *ENDINGS[word], detail, "")
        else:
            self._print_ended(line, *ENDINGS.get(word, WRONG), word, detail)

    def notice(self, text: str) -> None:
        self._console.print(Text(printable(text), style="yellow"))

    def finished(self, summary: Summary) -> None:
        self.close()
        self._console.print()
        self._console.print(Text(headline(summary), style="bold"))
        found = entries(summary)
        width = max((len(entry.issue) for entry in found), default=0)
        for entry in found:
            text = Text.assemble(
                ("  " + entry.word.ljust(8), ENDINGS.get(entry.word, WRONG)[1]),
                ("  " + entry.issue.ljust(width), "bold"),
                "  " + entry.text,
            )
            self._print_line(text)
            for below in entry.below:
                self._print_wrapped(below, 14 + width)
        if summary.waiting:
            self._print_line(Text.assemble(("  open      ", "yellow"), waiting(summary)))
        if summary.limit:
            self._print_line(Text.assemble(("  limit     ", "yellow"), summary.limit))
        if figures := used(summary):
            self._print_line(Text(f"  used      {figures}", style="dim"))

    def close(self) -> None:
        self._live.stop()

    def _print_ended(self, line: Line, mark: str, colour: str, outcome: str, why: str) -> None:
        """What happened in one line, and below it why, if there is something to say."""
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=1)
        table.add_column(width=self._widths["issue"], no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, overflow="ellipsis", style=colour)
        table.add_column(width=7, no_wrap=True, justify="right", style="dim")
        table.add_row(
            Text(mark, colour),
            Text(line.issue, "bold"),
            Text(printable(line.title)),
            Text(outcome),
            f"{time.monotonic() - line.since:.1f} s",
        )
        indent = " " * (self._widths["issue"] + 5)
        below = [Text(indent + why, style="dim", no_wrap=True, overflow="ellipsis")] if why else []
        self._console.print(Group(table, *below))

    def _print_line(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ellipsis", crop=True)

    def _print_wrapped(self, text: str, indent: int) -> None:
        width = max(self._console.width - indent, 20)
        for part in textwrap.wrap(text, width):
            self._console.print(Text(" " * indent + part, style="dim"), soft_wrap=True)

    def _render(self) -> RenderableType:
        with self.lock:
            lines = list(self.lines.values())
            counts = {"running": len(lines), **self._ended}
        room = max(self._console.height - 4, 1)
        table = self._table()
        for line in lines[:room]:
            table.add_row(*self._row(line))
        seconds = int(time.monotonic() - self._began)
        said = [f"{n} {word}" for word, n in counts.items()] + [f"{seconds // 60}:{seconds % 60:02}"]
        footer = Text("   " + " · ".join(said), style="dim", no_wrap=True, overflow="ellipsis")
        more = [Text(f"   … and {len(lines) - room} more", style="dim")] if len(lines) > room else []
        return Group(Text(""), table, *more, footer)

    def _table(self) -> Table:
        width = self._console.width
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=1)
        table.add_column(width=self._widths["issue"], no_wrap=True, overflow="ellipsis", style="bold")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
        table.add_column(width=8, no_wrap=True)
        table.add_column(width=5, no_wrap=True, justify="right")
        if width >= WITH_AGENT:
            table.add_column(width=self._widths["agent"], no_wrap=True, overflow="ellipsis", style="dim")
        if width >= WITH_ACTIVITY:
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=2, style="dim")
        return table

    def _row(self, line: Line) -> list[RenderableType]:
        seconds = int(time.monotonic() - line.since)
        row: list[RenderableType] = [
            self._spinner,
            Text(line.issue),
            Text(printable(line.title)),
            Text(line.stage, style=COLOURS.get(line.stage, "white")),
            f"{seconds} s" if seconds < 1000 else f"{seconds // 60} m",
        ]
        if self._console.width >= WITH_AGENT:
            row.append(Text(line.agent))
        if self._console.width >= WITH_ACTIVITY:
            row.append(Text(line.activity))
        return row
