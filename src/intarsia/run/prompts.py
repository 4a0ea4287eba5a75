"""What agents are told. The texts are in `templates/`; what stands for `$name` is filled in here."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from string import Template

from intarsia.kernel.issues import Issue


def task(issue: Issue, target: str, checks: Collection[str], *, shared: bool = False) -> str:
    named = "\n".join(f"  - `{command}`" for command in checks)
    return _fill(
        "task_shared.md" if shared else "task.md",
        issue=issue.id,
        title=issue.title,
        body=issue.body or "(There is no longer description.)",
        acceptance=f"\n## Acceptance\n\n{issue.acceptance}\n" if issue.acceptance else "",
        target=target,
        checks=f"- These commands are run on your commit, and must pass:\n{named}\n" if named else "",
    )


def followup(issue: str, problem: str, left: int, task: str) -> str:
    """What failed, and the task again: not every agent program remembers the conversation."""
    tries = f"{left} more tries after this one" if left != 1 else "one more try after this one"
    sentence = problem[:1].upper() + problem[1:]
    return _fill(
        "followup.md", issue=issue, problem=sentence, left=tries if left else "this is the last try", task=task
    )


def resumed(issue: str, prompt: str) -> str:
    """For an agent that remembers the conversation, and whose turn was broken off where it stands."""
    return _fill("resume.md", issue=issue, prompt=prompt)


def readable(text: str) -> str:
    """Text from files and programs, without what neither a terminal nor the database should get."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def first_line(text: str) -> str:
    line = text.split("\n", 1)[0].removesuffix(" The end of its output:")
    return line[:1].upper() + line[1:]


def _fill(name: str, **values: str) -> str:
    template = files("intarsia.run").joinpath("templates", name).read_text(encoding="utf-8")
    return Template(template).substitute(values)
