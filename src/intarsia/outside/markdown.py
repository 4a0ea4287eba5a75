"""Text of others inside Markdown of ours, so that it can't look like ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MAX_NAME = 100
_JOINERS = "\u200c\u200d"
_SPECIAL = re.compile(r"[\\`*\[\]<>|#&~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]|^[.-]")


def inline(text: str) -> str:
    """On one line, its marks escaped; to stand inside a line, not at the start of one."""
    visible = "".join(char if char.isprintable() or char in _JOINERS else " " for char in text)
    return _SPECIAL.sub(lambda found: "\\" + found[0], " ".join(visible.split()))


def fenced(text: str) -> str:
    """Several lines, exactly as they are but for control characters, in a fence that nothing in them can close."""
    lines = re.sub(r"\r\n?", "\n", text).strip("\n")
    shown = "".join(char if char in "\n\t" or (char >= " " and char != "\x7f") else "\ufffd" for char in lines)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def facts(pairs: Mapping[str, str | None]) -> str:
    """A table of two columns, without the facts that are empty; the values are Markdown already."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in pairs.items() if value)])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def file_name(name: str) -> str:
    """A name for a file, different for different names, that stays in its directory and needs no quoting in a link."""
    safe = _UNSAFE.sub(lambda found: "".join(f"~{byte:02X}" for byte in found[0].encode()), name)
    if not safe or len(safe) > MAX_NAME:
        import hashlib

        safe = f"{safe[:MAX_NAME]}~~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return f"{safe}.md"
