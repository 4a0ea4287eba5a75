"""Judges a recorded history of leases after the fact, knowing only what the processes wrote down.

Each process writes, to a file of its own, when it asks, when its grant begins, when it is refused, and when it starts
to give back; who was killed is written down by who killed it. Times are of one clock. What a process writes lies inside
of what it really held, so two grants that overlap in the records did overlap. `lease_worker` makes such files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

Modes = dict[str, str]


class Record(Struct, frozen=True, omit_defaults=True):
    """`request` tells the requests of a session apart."""

    what: Literal["ask", "begin", "refused", "end", "killed"]
    time: float
    session: str
    request: int = 0
    wants: Modes = {}
    token: int = 0
    expires: float = 0


class Request(Struct):
    """One request: asked, then granted from `begin` to `end`, or refused, or neither because its process was killed."""

    session: str
    wants: Modes
    asked: float
    token: int = 0
    begin: float | None = None
    expires: float = 0
    end: float | None = None
    refused: float | None = None
    killed: float | None = None

    @property
    def answered(self) -> float | None:
        return next((time for time in (self.begin, self.refused, self.killed) if time is not None), None)

    @property
    def held(self) -> tuple[float, float] | None:
        """When it held for certain: a killed holder up to its expiry, and nobody longer than that.

        Never, if it got no turn to write down that it began before that was over.
        """
        if self.begin is None or self.begin >= self.expires:
            return None
        return self.begin, min(self.expires, self.end if self.end is not None else self.expires)


def read(folder: Path) -> list[Record]:
    texts = [file.read_bytes() for file in folder.glob("*.jsonl")]
    lines = [line for text in texts for line in text[: text.rfind(b"\n") + 1].splitlines()]  # kill -9 may cut the last
    return sorted((msgspec.json.decode(line, type=Record) for line in lines), key=lambda record: record.time)


def requests(records: Iterable[Record]) -> list[Request]:
    """In the order in which they were asked."""
    found: dict[tuple[str, int], Request] = {}
    for record in records:
        if record.what == "killed":
            for (session, _), request in found.items():
                if session == record.session and request.end is None and request.refused is None:
                    request.killed = record.time
        elif record.what == "ask":
            found[record.session, record.request] = Request(record.session, record.wants, record.time)
        else:
            request = found[record.session, record.request]
            if record.what == "begin":
                request.begin, request.token, request.expires = record.time, record.token, record.expires
            elif record.what == "end":
                request.end = record.time
            else:
                request.refused = record.time
    return list(found.values())


def problems(records: Iterable[Record], patience: float, ttl: float) -> list[str]:
    """What must not have happened. `patience` (seconds) is how long one may wait for what is free."""
    history = requests(records)
    return [
        *(f"{_name(one)} and {_name(other)} overlap" for one, other in _overlaps(history)),
        *(f"{_name(one)} and {_name(other)}: the token does not increase" for one, other in _steps_back(history)),
        *(f"{_name(one)} waited for what was free" for one in history if _forgotten(one, history, patience, ttl)),
        *(f"{_name(one)} was never answered" for one in history if one.answered is None),
    ]


def conflict(one: Request, other: Request) -> bool:
    """Whether two sessions could not hold both at once."""
    return one.session != other.session and any(
        _clash(_segments(name), mode, _segments(name_too), mode_too)
        for name, mode in one.wants.items()
        for name_too, mode_too in other.wants.items()
    )


def _clash(one: tuple[str, ...], mode: str, other: tuple[str, ...], mode_too: str) -> bool:
    """Shared needs all that is there, and exclusive changes it; the other modes add to what must not be changed."""
    if "exclusive" not in (mode, mode_too) or any(x != y for x, y in zip(one, other, strict=False)):
        return False
    below = one[len(other) :] if mode == "exclusive" else other[len(one) :]
    return not below or below[0] == "body" or {mode, mode_too} <= {"exclusive", "shared"}


@lru_cache
def _segments(name: str) -> tuple[str, ...]:
    return tuple(re.split("[:/#.]+", name.rstrip(":")))


def _overlaps(history: list[Request]) -> Iterator[tuple[Request, Request]]:
    spans = sorted(((*one.held, n) for n, one in enumerate(history) if one.held), key=lambda span: span[0])
    for at, (_, end, n) in enumerate(spans):
        for begin, _, m in spans[at + 1 :]:
            if begin >= end:
                break
            if conflict(history[n], history[m]):
                yield history[n], history[m]


def _steps_back(history: list[Request]) -> Iterator[tuple[Request, Request]]:
    """Grants in the order in which they began: none may have a smaller token than one before that it conflicts with."""
    greatest: dict[tuple[str, str], Request] = {}
    for one in sorted((one for one in history if one.held), key=lambda one: one.begin or 0):
        seen = {other.token: other for other in greatest.values() if other.token >= one.token and conflict(one, other)}
        yield from ((other, one) for other in seen.values())
        for want in one.wants.items():
            if want not in greatest or greatest[want].token < one.token:
                greatest[want] = one


def _forgotten(one: Request, history: list[Request], patience: float, ttl: float) -> bool:
    """Whether nobody was in its way for longer than `patience` before it was answered."""
    if one.answered is None or one.answered - one.asked <= patience:
        return False
    before = [other for other in history if other is not one and other.asked < one.answered and conflict(one, other)]
    # Who asked at about the same time may have come first.
    ends = [_in_the_way_until(other, one.answered, ttl, other.asked < one.asked + patience) for other in before]
    return one.answered - max([one.asked, *ends]) > patience


def _in_the_way_until(other: Request, now: float, ttl: float, ahead: bool) -> float:
    """Until when, up to now, it can have held what it asked for, or have been before another in the line."""
    if other.held and other.held[0] < now:
        return other.held[1]
    if other.killed is not None and other.begin is None:
        return other.killed + ttl + 5  # perhaps granted before it could say so; else it stood in the line for long
    return (other.answered or now) if ahead else 0


def _name(one: Request) -> str:
    return f"{one.session} ({one.wants}, token {one.token}, {one.begin} to {one.end})"
