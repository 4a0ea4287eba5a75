"""Histories of many processes, some of them killed, judged after the fact; and the judge himself."""

from __future__ import annotations

import random
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from intarsia.kernel import Database
from tests.support import lease_worker
from tests.support.history import Record, problems, read, requests

SEED = 11
PROCESSES = 7
SECONDS = 4.0
PATIENCE = 10.0


class Crowd:
    """Processes that work on one project; whoever is killed is replaced by another session."""

    def __init__(self, url: str, folder: Path, seed: int) -> None:
        self._url, self._folder = url, folder
        self._project = f"p-{secrets.token_hex(6)}"
        self._random = random.Random(seed)
        self._count = 0
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.killed: list[str] = []

    def run(self) -> None:
        """Every now and then kills one, that waits if any does; some kill themselves while they hold a lease.

        It goes on for SECONDS, and on a slow machine until there is something to judge.
        """
        end = time.monotonic() + SECONDS
        for n in range(PROCESSES):
            self._start(self._random.randint(4, 16) if n % 2 else 0)
        try:
            while time.monotonic() < end or not self._is_worth_looking_at():
                time.sleep(self._random.uniform(0.8, 1.6))
                working = sorted(self._running)
                waiting = [session for session in working if self._last(session) == "ask"]
                self._running[self._random.choice(waiting or working)].kill()
                self._replace_the_dead()
            (self._folder / "over").touch()
            for session, process in self._running.items():
                if process.wait(60) == -signal.SIGKILL:
                    self._note(session)
                else:
                    assert process.returncode == 0
        finally:
            for process in self._running.values():
                process.kill()
                process.wait()

    def _is_worth_looking_at(self) -> bool:
        history = requests(read(self._folder))
        granted = [one for one in history if one.begin is not None]
        return (
            len(granted) > 50
            and sum(one.refused is not None for one in history) > 5
            and sum((one.begin or 0) - one.asked > 0.02 for one in granted) > 10
            and sum(one.end is None and one.session in self.killed for one in granted) >= 3
            and any(one.begin is None and one.session in self.killed for one in history)
        )

    def _replace_the_dead(self) -> None:
        for session, process in list(self._running.items()):
            if process.poll() is not None:
                assert process.returncode in (0, -signal.SIGKILL)
                del self._running[session]
                if process.returncode:
                    self._note(session)
                self._start(self._random.randint(4, 16))

    def _last(self, session: str) -> str:
        file = self._folder / f"{session}.jsonl"
        records = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        return msgspec.json.decode(records[-1], type=Record).what if records and records[-1].endswith(b"\n") else ""

    def _note(self, session: str) -> None:
        self.killed.append(session)
        with (self._folder / "killed.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(Record("killed", time.time(), session)) + b"\n")

    def _start(self, dies_after: int) -> None:
        self._count += 1
        session = f"s{self._count}"
        arguments = [self._url, self._project, session, f"{SEED}-{session}", self._folder, dies_after]
        command = [sys.executable, "-m", "tests.support.lease_worker", *map(str, arguments)]
        self._running[session] = subprocess.Popen(command)


def test_grants_of_many_processes_never_overlap(database_url: str, tmp_path: Path) -> None:
    Database(database_url, "p").close()
    crowd = Crowd(database_url, tmp_path, SEED)
    crowd.run()
    assert problems(read(tmp_path), PATIENCE, lease_worker.TTL) == []


# The judge.

INSIDE, SYMBOL, ALL = {"x/inside": "exclusive"}, {"x/a#f.g": "exclusive"}, {"": "shared"}


def granted(session: str, token: int, begin: float, end: float | None, **wants: str) -> list[Record]:
    """A grant of ten seconds, asked for at its begin; given back at `end`, if ever."""
    names = {f"code:{name}": mode for name, mode in wants.items()}
    records = [
        Record("ask", begin, session, token, names),
        Record("begin", begin, session, token, token=token, expires=begin + 10),
    ]
    return records if end is None else [*records, Record("end", end, session, token)]


def waited(since: float, records: list[Record]) -> list[Record]:
    return [msgspec.structs.replace(records[0], time=since), *records[1:]]


def asks(session: str, time: float, refused: float | None = None, **wants: str) -> list[Record]:
    asked = Record("ask", time, session, 0, {f"code:{name}": mode for name, mode in wants.items()})
    return [asked] if refused is None else [asked, Record("refused", refused, session, 0)]


def killed(session: str, time: float) -> list[Record]:
    return [Record("killed", time, session)]


def judged(*parts: list[Record]) -> list[str]:
    records = sorted((record for part in parts for record in part), key=lambda record: record.time)
    return problems(records, patience=2, ttl=10)


def found(word: str, *parts: list[Record]) -> None:
    problems = judged(*parts)
    assert len(problems) == 1
    assert word in problems[0]


def test_a_history_in_order_has_no_problems() -> None:
    history = [
        granted("a", 1, 0, 5, x="exclusive"),
        waited(1, granted("b", 2, 5.1, 9, x="exclusive")),
        granted("c", 3, 6, 8, y="shared"),
        granted("d", 4, 6.5, 7, y="shared"),
        granted("b", 5, 7, 9, **INSIDE),
        asks("e", 8, refused=8.1, x="shared"),
    ]
    assert judged(*history) == []


def test_an_overlap_is_found() -> None:
    found("overlap", granted("a", 1, 0, 5, x="exclusive"), granted("b", 2, 4.9, 6, x="exclusive"))
    found("overlap", granted("a", 1, 0, 5, x="exclusive"), granted("b", 2, 1, 2, x="shared", y="shared"))
    found("overlap", granted("a", 1, 0, 5, x="shared"), granted("b", 2, 1, 2, **INSIDE))
    found("overlap", granted("a", 1, 0, 5, **SYMBOL), granted("b", 2, 1, 2, **ALL))
    assert judged(granted("a", 1, 0, 5, x="exclusive"), granted("b", 2, 1, 2, xy="exclusive")) == []


def test_an_overlap_of_modes_is_found() -> None:
    for adding in ("insert", "imports", "append"):
        changed = {"x/a#f": "exclusive"}
        for added in ("x/a#f", "x/a#f.g", "x/a#f.g.h"):
            found("overlap", granted("a", 1, 0, 5, **changed), granted("b", 2, 1, 2, **{added: adding}))
        found(
            "overlap", granted("a", 1, 0, 5, **{"x/a#f/body": "exclusive"}), granted("b", 2, 1, 2, **{"x/a#f": adding})
        )
        for added in ("x", "x/a", "x/a#g"):
            assert judged(granted("a", 1, 0, 5, **changed), granted("b", 2, 1, 2, **{added: adding})) == []
        for other in ("insert", "append", "shared"):
            assert judged(granted("a", 1, 0, 5, x=adding), granted("b", 2, 1, 2, x=other, y=other)) == []


def test_a_killed_holder_holds_to_its_expiry_and_no_longer() -> None:
    first = [granted("a", 1, 0, None, x="exclusive"), killed("a", 1)]
    found("overlap", *first, waited(9, granted("b", 2, 9.9, 12, x="exclusive")))
    assert judged(*first, waited(2, granted("b", 2, 10.1, 12, x="exclusive"))) == []
    assert judged(granted("a", 1, 0, 15, x="exclusive"), waited(2, granted("b", 2, 10.1, 12, x="exclusive"))) == []


def test_a_token_that_goes_back_is_found() -> None:
    found("token", granted("a", 2, 0, 1, x="exclusive"), granted("b", 1, 2, 3, x="exclusive"))
    found("token", granted("a", 2, 0, 1, x="shared"), granted("b", 1, 2, 3, **INSIDE))
    found("token", granted("a", 2, 0, 1, x="exclusive"), granted("b", 2, 2, 3, x="exclusive"))
    between = granted("c", 3, 4, 5, x="shared")
    found("token", granted("a", 2, 0, 1, x="exclusive"), granted("b", 1, 2, 3, x="exclusive"), between)
    assert judged(granted("a", 2, 0, 1, x="exclusive"), granted("b", 1, 2, 3, y="exclusive")) == []


def test_who_learns_too_late_that_it_held_did_not_hold_then() -> None:
    ends_at_11 = granted("a", 1, 1, None, x="exclusive")
    late = [ends_at_11[0], msgspec.structs.replace(ends_at_11[1], time=12.0)]
    assert judged(late, waited(2, granted("b", 2, 11.1, 11.5, x="exclusive"))) == []


def test_a_lost_wake_up_is_found() -> None:
    late = waited(1, granted("b", 2, 8.5, 9, x="exclusive"))
    found("was free", granted("a", 1, 0, 5, x="exclusive"), late)
    found("was free", granted("a", 1, 0, 5, x="exclusive"), asks("b", 1, refused=8.5, x="exclusive"))
    found("was free", late)
    found("was free", granted("a", 1, 0, 5, x="exclusive"), late, asks("c", 6, refused=8.6, x="shared"))
    # Somebody was in the way all the time: a holder, one who was first, one who was killed in the line.
    assert judged(granted("a", 1, 0, 7, x="exclusive"), late) == []
    assert judged(asks("a", 0, refused=7, x="exclusive"), late) == []
    assert judged(asks("a", 0, x="exclusive"), killed("a", 0.5), late) == []


def test_a_request_without_an_answer_is_found() -> None:
    found("never answered", asks("a", 0, x="exclusive"))
    assert judged(asks("a", 0, x="exclusive"), killed("a", 1)) == []


def test_a_line_that_was_cut_by_kill_is_left_out(tmp_path: Path) -> None:
    line = msgspec.json.encode(Record("ask", 1, "a")) + b"\n"
    (tmp_path / "a.jsonl").write_bytes(line + line[:10])
    assert read(tmp_path) == [Record("ask", 1, "a")]
