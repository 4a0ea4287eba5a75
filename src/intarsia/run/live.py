"""The run on a terminal: a line for each running session, kept up to date, and below each other what has ended."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from intarsia.run.progress import Board, Line, Summary, printable, summary_lines

COLOURS = {"working": "cyan", "checking": "yellow", "reviewing": "yellow", "landing": "magenta"}
ENDINGS = {"done": ("✓", "green"), "parked": ("‖", "yellow"), "released": ("↩", "yellow")}


class LiveReporter(Board):
    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._console = console or Console(highlight=False)
        self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=8, transient=True)
        self._live.start()

    def ended(self, session: str, outcome: str, detail: str = "") -> None:
        line = self.remove(session)
        if line is None:
            return
        mark, colour = ENDINGS.get(outcome, ("✗", "red"))
        text = Text.assemble(
            (f"{mark} ", colour),
            (f"{line.issue:<10} ", "bold"),
            printable(line.title),
            (
                "  " + printable(detail if outcome == "done" else f"{outcome}: {detail}"),
                "dim" if outcome == "done" else colour,
            ),
            (f"  {time.monotonic() - line.since:.1f} s", "dim"),
        )
        self._console.print(text, overflow="ellipsis", no_wrap=True)

    def notice(self, text: str) -> None:
        self._console.print(Text(printable(text), style="yellow"))

    def finished(self, summary: Summary) -> None:
        self.close()
        for text in summary_lines(summary):
            self._console.print(Text(text))

    def close(self) -> None:
        self._live.stop()

    def _render(self) -> RenderableType:
        with self.lock:
            lines = list(self.lines.values())
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1, style="dim")
        for line in lines:
            table.add_row(*self._row(line))
        return Group(table)

    @staticmethod
    def _row(line: Line) -> tuple[Text | str, ...]:
        seconds = f"{time.monotonic() - line.since:.0f} s"
        stage = Text(line.stage, style=COLOURS.get(line.stage, "white"))
        return line.agent, line.issue, stage, seconds, line.activity or line.title
