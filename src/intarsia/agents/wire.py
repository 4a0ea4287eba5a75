"""A turn with an agent program that speaks JSON, one object per line, on its standard input and output.

What it tells is kept as it came in `wire-N.jsonl`, and in `output-N.log` as people read it. When we are gone its input
ends, and with it its turn: nobody is left to allow anything. After its turn it may wait for a follow-up of the same
session, for as long as one that was ended then would hardly be missed.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil

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
    reaper,
)
from intarsia.agents.asking import Aside
from intarsia.agents.supervision import GRACE, end_marked, marked

TICK = 0.1
LASTS = 60.0
ENDING = 2.0  # what a command started may need as long to end after it
CHUNK = 65_536
SHOWN = 400

Json = dict[str, Any]


class Wire:
    """The program of a turn, and of those that follow it: its process, its lines, and the events made of them.

    `hear` gets each object it says, in a thread; it calls `send`, `tell` and at the end `finish`. `gone` says what it
    means that the program ended, with this exit code, before that. After the turn it gets `patience` seconds to end.
    `acts` says whether an object that it says while it waits for a follow-up means that it does something by itself; it
    is ended then, as nobody is there who could be asked. Without `acts` it does not wait for any.
    """

    def __init__(
        self,
        turn: Turn,
        argv: Sequence[str],
        env: Mapping[str, str],
        hear: Callable[[Json], None],
        gone: Callable[[int], TurnEnd],
        patience: float = GRACE,
        acts: Callable[[Json], bool] | None = None,
    ) -> None:
        self._patience = patience
        self._hear = hear
        self._gone = gone
        self._acts = acts
        self._stays = False
        self._lock = threading.RLock()  # of what a thread says, while another one goes on to the next turn
        self._open(turn)
        self._start(argv, env)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="wire")
        self._reader = threading.Thread(target=self._read, name="wire", daemon=True)

    def _open(self, turn: Turn) -> None:
        self._turn = turn
        self.aside = Aside()
        self._events: queue.SimpleQueue[AgentEvent] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._verdict: TurnEnd | None = None
        self._heard = 0
        self._own: set[psutil.Process] | None = None
        self._log = turn.output_file.open("w", encoding="utf-8")
        self._raw = (turn.folder / f"wire-{turn.number}.jsonl").open("wb")

    def _start(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._ground = _ground(self._turn)
        given, ours = os.pipe()
        theirs, output = os.pipe()
        exit_file = self._turn.folder / f"wire-{self._turn.number}.exit"
        pipes = {"given": given, "output": output, "errors": self._log.fileno()}
        try:
            self._held = reaper.start(argv, cwd=self._turn.workspace, env=env, exit_file=exit_file, **pipes)
        finally:
            os.close(given)
            os.close(output)
        self._input, self._output = open(ours, "wb"), open(theirs, "rb", buffering=0)  # noqa: PTH123, SIM115

    def begin(self) -> None:
        """Start to listen."""
        self._reader.start()

    def send(self, message: Json) -> None:
        """Say something, after what was said before; a program that is gone does not hear it."""
        self.write(json.dumps(message) + "\n")

    def write(self, text: str) -> None:
        """The same for a program that is told something else than objects."""
        self._writer.submit(self._write, text.encode())

    def hang_up(self) -> None:
        """Nothing more will be said."""
        self._writer.submit(self._input.close)

    def tell(self, event: AgentEvent) -> None:
        if isinstance(event, ToolUse) and self._own is None and self._may_last:
            self._own = {*marked(self._turn.session)}
        if (line := _line(event)) and not self._ended.is_set():
            self._log.write(line + "\n")
            self._log.flush()
        self._events.put(event)

    def finish(self, end: TurnEnd) -> None:
        """The turn is over; what comes first counts."""
        if not self._ended.is_set():
            self.tell(self._verdict or end)
            self._ended.set()

    def abort(self, end: TurnEnd) -> None:
        """The turn is over, and the program must not do another thing, nor what it started."""
        self._verdict = self._verdict or end
        self._held.kill()
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
        """Let the program wait for a follow-up, if it may; else it writes down what it has to, and ends.

        One that then fails has failed, whatever it said.
        """
        self.aside.end()
        if end.outcome == "completed" and self._wait_for_another():
            return end
        self.hang_up()
        code = self._code() if self._held.wait(self._patience) else 0  # something it started may keep it
        self._release()
        if code and end.outcome == "completed":
            return TurnEnd("failed", f"It ended with exit code {code} after its last word.", end.last_message)
        return end

    def _release(self) -> None:
        self._writer.shutdown(wait=False)
        if self._held.wait(0):
            self._reader.join(1)
        self._held.let_go()
        self._log.close()

    def _write(self, text: bytes) -> None:
        self._input.write(text)
        self._input.flush()

    def _code(self) -> int:
        code = self._held.code
        return -signal.SIGKILL if code is None else code

    # From one turn to the next.

    @property
    def stays(self) -> bool:
        """Whether the program waits for a follow-up."""
        return self._stays and not self._held.wait(0)

    def _wait_for_another(self) -> bool:
        """Only a program that has left nothing behind may: what it left could still change something."""
        if not self._may_last or self._held.wait(0) or self._left_something():
            return False
        with self._lock:
            self._log.close()
            self._stays = True
            self._timer = threading.Timer(LASTS, self.close)
            self._timer.daemon = True
            self._timer.start()
        return True

    @property
    def _may_last(self) -> bool:
        return self._acts is not None and self._turn.lasting

    def _left_something(self) -> bool:
        """Whether anything of the session runs besides the program and what is its own.

        That is what it had in its process session before it used a tool, such as tool servers.
        """
        deadline = time.monotonic() + ENDING
        while others := [each for each in marked(self._turn.session) if not self._is_its_own(each)]:
            if time.monotonic() > deadline:
                return True
            psutil.wait_procs(others, TICK)
        return False

    def _is_its_own(self, process: psutil.Process) -> bool:
        return (self._own is None or process in self._own) and _process_session(process) == self._held.pid

    def follow_up(self, turn: Turn, begin: Callable[[Turn], None]) -> bool:
        """Whether the program goes on with this turn; then `begin` is called before anything more is heard."""
        with self._lock:
            if not self.stays or _surroundings(self._turn) != _surroundings(turn) or _ground(turn) != self._ground:
                return False
            self._stays = False
            self._timer.cancel()
            self._raw.close()
            self._open(turn)
            begin(turn)
            return True

    def close(self) -> None:
        """Let a program end that waits for a follow-up."""
        with self._lock:
            waited, self._stays = self._stays, False
        if waited:
            self._timer.cancel()
            self.hang_up()
            self._held.wait(self._patience)
            if not self._held.alone:
                self._held.kill()
            self._release()

    # What it says.

    def _read(self) -> None:
        try:
            self._listen()
            while not self._held.wait(LASTS):
                pass
            self.finish(self._gone(self._code()))
        finally:
            self._raw.close()
            self._output.close()
            self.finish(TurnEnd("failed", "It said something that could not be understood."))

    def _listen(self) -> None:
        rest = b""
        while chunk := os.read(self._output.fileno(), CHUNK):
            with self._lock:
                self._heard += len(chunk)
                self._raw.write(chunk)
                self._raw.flush()
                if self._heard > self._turn.limits.output:
                    return self.abort(TurnEnd("flooded", f"It printed more than {self._turn.limits.output} bytes."))
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
        return None

    def _take(self, line: bytes) -> None:
        """Other things that it prints are no messages."""
        over = self._ended.is_set()
        if line.lstrip()[:1] != b"{" or (over and not self._stays):
            return
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not over:
            self._hear(message)
        elif self._acts is not None and self._acts(message):
            self._held.kill()

    def _notice_death(self) -> None:
        """A program may leave a child that keeps its output open; so its end is seen only here."""
        if self._held.wait(0) and not self._is_unheard():
            self._reader.join(1)
            self.finish(self._gone(self._code()))

    def _is_unheard(self) -> bool:
        """Whether there is something that it said, or its end, which the thread that listens has not come to yet."""
        try:
            return bool(select.select([self._output], [], [], 0)[0])
        except (OSError, ValueError):  # it has heard all
            return False


def _process_session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return 0


def _ground(turn: Turn) -> int:
    """A directory that was deleted and made anew is another: a program stays in the one that is gone."""
    return turn.workspace.stat().st_ino


def _surroundings(turn: Turn) -> tuple[object, ...]:
    """What a program was started with; it can't go on with a turn that has others."""
    env = {name: value for name, value in turn.env.items() if name != "INTARSIA_TURN"}
    return turn.session, turn.folder, turn.workspace, env, [tool.name for tool in turn.tools]


def died(code: int) -> TurnEnd:
    """A program that ended without a word about its turn."""
    if code < 0:
        return TurnEnd("killed", f"It ended with signal {-code}.")
    if 128 < code <= 128 + signal.NSIG:
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
