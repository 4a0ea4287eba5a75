"""What a file would be after a unified diff, as agents show it that ask before they patch."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


def patched(before: str, diff: str) -> str | None:
    """The text after it; None when the diff does not fit, or can't be read."""
    lines = before.splitlines(keepends=True)
    hunks = _hunks(diff)
    after: list[str] = []
    at = 0
    for start, body in hunks:
        old = [line[1:] for line in body if line[0] in " -"]
        begin = max(start - 1, 0) if old else start
        if begin < at or not _fits(lines[begin : begin + len(old)], old):
            return None
        after += lines[at:begin]
        at = begin
        for line, next_line in zip(body, [*body[1:], ""], strict=True):
            if line[0] == "+":
                after.append(line[1:] + ("" if next_line.startswith("\\") else "\n"))  # "No newline at end of file"
            elif line[0] == " ":
                after.append(lines[at])
            at += line[0] in " -"
    return "".join([*after, *lines[at:]]) if hunks else None


def _hunks(diff: str) -> list[tuple[int, list[str]]]:
    """Where each begins, and its lines with their sign; what else stands between is no part of any."""
    found: list[tuple[int, list[str]]] = []
    for line in diff.split("\n"):
        if header := _HUNK.match(line):
            found.append((int(header[1]), []))
        elif found and line.startswith(("+", "-", " ", "\\")):
            found[-1][1].append(line)
    return found


def _fits(there: Sequence[str], wanted: Sequence[str]) -> bool:
    return [line.rstrip("\r\n") for line in there] == [line.rstrip("\r") for line in wanted]
