"""A turn with an agent program that speaks JSON, one object per line, on its standard input and output.

What it tells is kept as it came in `wire-N.jsonl`, and in `output-N.log` as people read it. When we are gone its input
ends, and with it its turn: nobody is left to allow anything.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from intarsia.agents import (
    AgentEvent,
    Conversation,
    RateLimit,
    Said,
    ToolResult,
    ToolUse,
    Turn,
    TurnEnd,
    Unenforced,
    Usage,
    Waiting,
)
from intarsia.agents.asking import Aside
from intarsia.agents.supervision import GRACE, end_marked

TICK = 0.1
CHUNK = 65_536
SHOWN = 400

Json = dict[str, Any]


class Wire:
    """The program of one turn: its process, its lines, and the events made of them.

    `hear` gets each object it says, in a thread; it calls `send`, `tell` and at the end `finish`. `gone` says what it
    means that the program ended, with this exit code, before that. After the turn it gets `patience` seconds to end.
    """

    def __init__(
        self,
        turn: Turn,
        argv: Sequence[str],
        env: Mapping[str, str],
        hear: Callable[[Json], None],
        gone: Callable[[int], TurnEnd],
        patience: float = GRACE,
    ) -> None:
        self.aside = Aside()
        self._patience = patience
        self._turn = turn
        self._hear = hear
        self._gone = gone
        self._events: queue.SimpleQueue[AgentEvent] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._log = turn.output_file.open("w", encoding="utf-8")
        self._raw = (turn.folder / f"wire-{turn.number}.jsonl").open("wb")
        self._process = subprocess.Popen(
            argv,
            cwd=turn.workspace,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="wire")
        self._reader = threading.Thread(target=self._read, name="wire", daemon=True)

    def begin(self) -> None:
        """Start to listen."""
        self._reader.start()

    def send(self, message: Json) -> None:
        """Say something, after what was said before; a program that is gone does not hear it."""
        self._writer.submit(self._write, message)

    def hang_up(self) -> None:
        """Nothing more will be said."""
        if self._process.stdin is not None:
            self._writer.submit(self._process.stdin.close)

    def tell(self, event: AgentEvent) -> None:
        if (line := _line(event)) and not self._ended.is_set():
            self._log.write(line + "\n")
            self._log.flush()
        self._events.put(event)

    def finish(self, end: TurnEnd) -> None:
        """The turn is over; what comes first counts."""
        if not self._ended.is_set():
            self.tell(end)
            self._ended.set()

    def abort(self, end: TurnEnd) -> None:
        """The turn is over, and the program must not do another thing, nor what stands behind a shim of it."""
        if self._process.poll() is None:  # then its process group is its own, as it began it
            os.killpg(self._process.pid, signal.SIGKILL)
        self.finish(end)

    def events(self) -> Iterator[AgentEvent]:
        while True:
            try:
                event = self._events.get(timeout=TICK)
            except queue.Empty:
                self._notice_death()
                yield Waiting()
                continue
            if isinstance(event, TurnEnd):
                yield self._close(event)
                return
            yield event

    def stop(self, grace: float = GRACE) -> None:
        self._ended.set()
        self.aside.end()
        end_marked(self._turn.session, grace)
        self._release()

    def _close(self, end: TurnEnd) -> TurnEnd:
        """Let the program write down what it has to; one that then fails has failed, whatever it said."""
        self.aside.end()
        self._writer.submit(self._process.stdin.close if self._process.stdin else bool)
        try:
            code = self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            code = 0  # something it started keeps it; whoever runs the turn ends what is left
        self._release()
        if code and end.outcome == "completed":
            return TurnEnd("failed", f"It ended with exit code {code} after its last word.", end.last_message)
        return end

    def _release(self) -> None:
        self._writer.shutdown(wait=False)
        if self._process.poll() is not None and self._process.stdout is not None:
            self._reader.join(1)
        self._log.close()

    def _write(self, message: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        try:
            self._listen()
            self.finish(self._gone(self._process.wait()))
        finally:
            self._raw.close()
            self.finish(TurnEnd("failed", "It said something that could not be understood."))

    def _listen(self) -> None:
        assert self._process.stdout is not None
        read, rest = 0, b""
        while chunk := os.read(self._process.stdout.fileno(), CHUNK):
            read += len(chunk)
            self._raw.write(chunk)
            self._raw.flush()
            if read > self._turn.limits.output:
                return self.abort(TurnEnd("flooded", f"It printed more than {self._turn.limits.output} bytes."))
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        return None

    def _take(self, line: bytes) -> None:
        """Other things that it prints are no messages."""
        if line.lstrip()[:1] != b"{" or self._ended.is_set():
            return
        try:
            message = json.loads(line)
        except ValueError:
            return
        self._hear(message)

    def _notice_death(self) -> None:
        """A program may leave a child that keeps its output open; so its end is no sure sign."""
        if self._process.poll() is not None:
            self._reader.join(1)
            self.finish(self._gone(self._process.returncode))


def died(code: int) -> TurnEnd:
    """A program that ended without a word about its turn."""
    if code < 0:
        return TurnEnd("killed", f"It ended with signal {-code}.")
    if code in (128 + 9, 128 + 15):
        return TurnEnd("killed", f"It ended with signal {code - 128}.")
    return TurnEnd("failed", f"It ended with exit code {code} in the midst of its turn.")


def one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def _line(event: AgentEvent) -> str:
    match event:
        case Said(text):
            return text
        case ToolUse(_, text):
            return f"→ {text}"
        case ToolResult(_, ok, text):
            return f"  {'✓' if ok else '✗'} {one_line(text)}".rstrip()
        case RateLimit(text, _):
            return f"… {text}"
        case Unenforced(text):
            return f"! {text}"
        case TurnEnd(outcome, detail):
            return f"[{outcome}] {detail}".rstrip()
        case Conversation() | Usage() | Waiting():
            return ""
