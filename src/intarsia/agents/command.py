"""Any program as an agent: it gets the prompt, works in the workspace, and exits with 0.

A small shell stands around it, so that its output and exit code reach files even when nobody supervises it; that is
what lets another supervisor take it over.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from intarsia.agents import AgentEvent, Capabilities, Running, Said, Turn, TurnEnd, Unenforced, Waiting, reaper
from intarsia.agents.confinement import UNCONFINED, Confinement
from intarsia.agents.reaper import Held, exit_code
from intarsia.agents.supervision import GRACE, end_marked, marked
from intarsia.errors import ConfigError, NotReady

TICK = 0.05
TAIL = 16_384
CHUNK = 65_536


class CommandDriver:
    name = "command"
    capabilities = Capabilities(
        adopts=True,
        weaker=(
            "It does not ask before it writes or runs a command: it is kept in its workspace only by its own sandbox, "
            "if it has one, and what it changed is judged when it lands.",
            "It tells neither tokens nor cost, and an overloaded model looks like any other failure.",
        ),
    )

    def __init__(self, command: str, followup: str = "", confinement: Confinement = UNCONFINED) -> None:
        self._command = _split(command)
        self._followup = _split(followup) if followup else self._command
        self._confinement = confinement

    def check(self) -> None:
        for argv in (self._command, self._followup):
            if shutil.which(argv[0]) is None:
                raise NotReady(
                    f"The agent's program {argv[0]!r} is not on the PATH.",
                    hint="Install it, or give its full path in [agents] or --agent 'command: …'.",
                )

        self._confinement.check()

    def version(self) -> str:
        """A command has no version that could be asked for in the same way of all."""
        self.check()
        return ""

    def start(self, turn: Turn) -> Running:
        turn.output_file.unlink(missing_ok=True)
        template = self._command if turn.number == 1 else self._followup
        fed = any("{prompt" in part for part in template)
        given = Path("/dev/null") if fed else turn.prompt_file
        argv = self._confinement.wrap([_fill(part, turn) for part in template], turn)
        with given.open("rb") as source, turn.output_file.open("ab") as sink:
            sinks = {"output": sink.fileno(), "errors": sink.fileno()}
            held = reaper.start(
                argv, cwd=turn.workspace, env=turn.env, exit_file=turn.exit_file, given=source.fileno(), **sinks
            )
        return Program(turn, held, self._confinement.missing)

    def adopt(self, turn: Turn) -> Running | None:
        if turn.exit_file.exists() or marked(turn.session, "agent"):
            return Program(turn, None)
        return None


class Program:
    """A running agent program; without `held` one that another supervisor started."""

    def __init__(self, turn: Turn, held: Held | None, unconfined: str = "") -> None:
        self._turn = turn
        self._held = held
        self._unconfined = unconfined
        self._read = 0
        self._tail = b""
        self._looked = time.monotonic()

    def events(self) -> Iterator[AgentEvent]:
        if self._unconfined:
            yield Unenforced(f"Not confined: {self._unconfined}")
        while True:
            over = self._wait()
            if self._size() > self._turn.limits.output:
                self.stop(grace=0)  # a program that ignores SIGTERM would fill the disk meanwhile
                yield self._flooded()
                return
            yield from self._news()
            if over:
                self._let_go()
                yield self._end()
                return

    def stop(self, grace: float = GRACE) -> None:
        end_marked(self._turn.session, grace)
        self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.let_go()

    def _wait(self) -> bool:
        """True when the program has ended; waits a tick otherwise."""
        if self._held is not None:
            return self._held.wait(TICK)
        if self._turn.exit_file.exists():
            return True
        time.sleep(TICK)
        if time.monotonic() - self._looked < 1:
            return False
        self._looked = time.monotonic()
        return not marked(self._turn.session, "agent")

    def _news(self) -> Iterator[AgentEvent]:
        fresh = False
        with self._turn.output_file.open("rb") as output:
            output.seek(self._read)
            while chunk := output.read(CHUNK):
                fresh = True
                self._read += len(chunk)
                self._tail = (self._tail + chunk)[-TAIL:]
        yield Said(self._last_line()) if fresh else Waiting()

    def _last_line(self) -> str:
        lines = self._tail.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _size(self) -> int:
        try:
            return self._turn.output_file.stat().st_size
        except FileNotFoundError:
            return 0

    def _flooded(self) -> TurnEnd:
        limit = self._turn.limits.output
        with self._turn.output_file.open("r+b") as output:
            output.truncate(limit)
        return TurnEnd("flooded", f"It printed more than {limit} bytes.")

    def _end(self) -> TurnEnd:
        message = self._tail.decode(errors="replace")
        code = exit_code(self._turn.exit_file)
        if code is None:
            return TurnEnd("killed", "Its process ended without an exit code.", message)
        if code in (128 + signal.SIGKILL, 128 + signal.SIGTERM):
            return TurnEnd("killed", f"It ended with signal {code - 128}.", message)
        if code:
            return TurnEnd("failed", f"It ended with exit code {code}.", message)
        return TurnEnd("completed", "", message)


def _split(command: str) -> list[str]:
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"The agent's command can't be parsed: {error}: {command}") from error
    if not argv:
        raise ConfigError(
            "The command driver needs a command.", hint="--agent 'command: my-agent --task {prompt_file}'"
        )
    return argv


def _fill(part: str, turn: Turn) -> str:
    """Fill in our placeholders in one pass; other braces are left alone."""
    values = {
        "prompt": turn.prompt,
        "prompt_file": str(turn.prompt_file),
        "issue": turn.issue,
        "session": turn.session,
        "turn": str(turn.number),
        "workspace": str(turn.workspace),
    }
    pieces = part.split("{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, closing, rest = piece.partition("}")
        filled.append(values[name] + rest if closing and name in values else "{" + piece)
    return "".join(filled)
