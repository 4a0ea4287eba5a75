"""What a project says to agents, in AGENTS.md or CLAUDE.md: for those that do not read it by themselves."""

from __future__ import annotations

from intarsia.agents import Driver
from intarsia.run.prompts import GUIDES, readable
from intarsia.workspace.objects import REGULAR, Objects

LONGEST = 32_768


def unread(objects: Objects, commit: str, driver: Driver) -> str:
    """The text of the first that is there, unless the agent reads one that is there; empty if there is none."""
    there = {name: entry.oid for name, entry in objects.tree(commit).items() if entry.mode in REGULAR}
    if there.keys() & set(driver.capabilities.guides):
        return ""
    found = next((objects.read(there[name]) for name in GUIDES if name in there), None) or b""
    text = found.decode(errors="replace")
    return readable(text if len(text) <= LONGEST else f"{text[:LONGEST]}\n[… cut]")
