"""What a project says to agents, in AGENTS.md or CLAUDE.md: for those that do not read it by themselves."""

from __future__ import annotations

from intarsia.agents import Driver
from intarsia.run.prompts import GUIDES, readable
from intarsia.workspace.git import Git

LONGEST = 32_768
PLAIN = ("100644", "100755")


def unread(git: Git, commit: str, driver: Driver) -> str:
    """The text of the first that is there, unless the agent reads one that is there; empty if there is none."""
    listed = git.run("ls-tree", "-z", commit, "--", *GUIDES).split("\0")
    there = {line.partition("\t")[2] for line in listed if line.startswith(PLAIN)}
    if there & set(driver.capabilities.guides):
        return ""
    text = next((git.run("show", f"{commit}:{name}") for name in GUIDES if name in there), "")
    return readable(text if len(text) <= LONGEST else f"{text[:LONGEST]}\n[… cut]")
