"""What agents are told. The texts are in `templates/`, or in files of the same names in a directory of the project
(`run.prompts`); what stands for `$name` is filled in here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from intarsia.errors import ConfigError
from intarsia.kernel.issues import Issue

# Of each template, the names without which its agent would not know what to do.
NEEDED: Mapping[str, frozenset[str]] = {
    "task.md": frozenset({"title", "body"}),
    "task_shared.md": frozenset({"title", "body"}),
    "followup.md": frozenset({"problem", "task"}),
    "resume.md": frozenset({"prompt"}),
}
GUIDES = ("AGENTS.md", "CLAUDE.md")


@dataclass(frozen=True)
class Prompts:
    """The templates of a project; `own` are those which it has itself."""

    own: Mapping[str, str]

    @classmethod
    def load(cls, root: Path, directory: str) -> Prompts:
        """Raises ConfigError for a file that is no template, or that can't be filled in."""
        if not directory:
            return cls({})
        folder = root / Path(directory).expanduser()
        if not folder.is_dir():
            raise ConfigError(f"run.prompts names {folder}, which is no directory.", hint="Make it, or take it out.")
        return cls({path.name: _read(path) for path in sorted(folder.glob("*.md"))})

    def task(self, issue: Issue, target: str, checks: Collection[str], *, shared: bool = False, guide: str = "") -> str:
        """`guide` is what the project says to agents, for those that would not read it by themselves."""
        named = "\n".join(f"  - `{command}`" for command in checks)
        told = self._fill(
            "task_shared.md" if shared else "task.md",
            issue=issue.id,
            title=issue.title,
            body=issue.body or "(There is no longer description.)",
            acceptance=f"\n## Acceptance\n\n{issue.acceptance}\n" if issue.acceptance else "",
            target=target,
            checks=f"- These commands are run on your commit, and must pass:\n{named}\n" if named else "",
        )
        return f"{told.rstrip()}\n\n## What this project says to agents\n\n{guide.strip()}\n" if guide else told

    def followup(self, issue: str, problem: str, left: int, task: str) -> str:
        """What failed, and the task again: not every agent program remembers the conversation."""
        tries = f"{left} more tries after this one" if left != 1 else "one more try after this one"
        sentence = problem[:1].upper() + problem[1:]
        return self._fill(
            "followup.md", issue=issue, problem=sentence, left=tries if left else "this is the last try", task=task
        )

    def resumed(self, issue: str, prompt: str) -> str:
        """For an agent that remembers the conversation, and whose turn was broken off where it stands."""
        return self._fill("resume.md", issue=issue, prompt=prompt)

    def _fill(self, name: str, **values: str) -> str:
        return Template(self.own.get(name) or builtin(name)).substitute(values)


def builtin(name: str) -> str:
    return files("intarsia.run").joinpath("templates", name).read_text(encoding="utf-8")


def readable(text: str) -> str:
    """Text from files and programs, without what neither a terminal nor the database should get."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def first_line(text: str) -> str:
    line = text.split("\n", 1)[0].removesuffix(" The end of its output:")
    return line[:1].upper() + line[1:]


def _read(path: Path) -> str:
    if path.name not in NEEDED:
        raise ConfigError(f"{path} is no template of ours.", hint=f"Those that can be replaced: {', '.join(NEEDED)}.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from error
    known, template = set(Template(builtin(path.name)).get_identifiers()), Template(text)
    if not template.is_valid():
        raise ConfigError(f"{path}: a dollar sign stands for nothing.", hint="Write $$ for a dollar sign.")
    used = set(template.get_identifiers())
    if unknown := used - known:
        hint = f"Known there: {', '.join(f'${name}' for name in sorted(known))}; write $$ for a dollar sign."
        raise ConfigError(f"{path}: ${min(unknown)} is not known.", hint=hint)
    if missing := NEEDED[path.name] - used:
        raise ConfigError(f"{path}: ${min(missing)} is missing.", hint="Without it an agent would not know its task.")
    return text
