"""What `intarsia init` writes for agents: our block in AGENTS.md, and a skill about our commands."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from intarsia.errors import Conflict
from intarsia.outside.folder import Folder

BEGIN, END = b"<!-- intarsia: begin -->", b"<!-- intarsia: end -->"
AGENTS = "AGENTS.md"
SKILL = (".claude", "skills", "intarsia")


def write_agents_md(root: Path, *, dry_run: bool = False) -> bool:
    """Put our block into AGENTS.md, or renew it there; whether anything changed. Raises Conflict where it can't be."""
    path = _target(root)
    folder = Folder.open(path.parent, dry_run=dry_run)
    try:
        before = folder.read(path.name)
        if before is None and path.exists():
            raise Conflict(f"{path} is no plain file.", hint="Remove it, or make it one.")
        changed = folder.write(path.name, with_block(before or b"", _template("agents.md")))
        folder.settle()
        return changed
    finally:
        folder.close()


def write_skill(root: Path, *, dry_run: bool = False) -> bool:
    """Write the skill, which is a file of ours as a whole; whether anything changed. Raises Conflict."""
    folders = [Folder.open(root, dry_run=dry_run)]
    try:
        for name in SKILL:
            folders.append(folders[-1].inside(name))
        changed = folders[-1].write("SKILL.md", _template("skill.md"))
        folders[-1].settle()
        return changed
    finally:
        for folder in folders:
            folder.close()


def with_block(text: bytes, block: bytes) -> bytes:
    """The text with our block at its end, or in the place of the one that it has; all else stays as it is."""
    newline = b"\r\n" if b"\r\n" in text else b"\n"
    made = newline.join([BEGIN, *block.strip().splitlines(), END])
    if BEGIN not in text and END not in text:
        gap = b"" if not text else newline if text.endswith(b"\n") else newline * 2
        return text + gap + made + newline
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end or END in before + after or BEGIN in inside + after:
        raise Conflict(
            f"{AGENTS} has not one pair of the marks {BEGIN.decode()} and {END.decode()}.",
            hint="Leave one of each, in this order, or none.",
        )
    return before + made + after


def _target(root: Path) -> Path:
    """AGENTS.md, or the file in the repository that it is a link to."""
    path = root / AGENTS
    if not path.is_symlink():
        return path
    target = path.resolve()
    if not target.is_relative_to(root.resolve()) or not target.is_file():
        raise Conflict(f"{path} is a link to {target}, which is no file of this repository.", hint="Remove the link.")
    return target


def _template(name: str) -> bytes:
    return files("intarsia.cli").joinpath("templates", name).read_bytes()
