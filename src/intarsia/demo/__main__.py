"""`python -m intarsia.demo [DIRECTORY]`: make the sample project, let scripted agents work on it, show the result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from intarsia.demo import project
from intarsia.errors import IntarsiaError
from intarsia.workspace.repository import Repository

BLOCKED = "rd-5"
CONSOLE = Console(highlight=False)


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print("Usage: python -m intarsia.demo [DIRECTORY]   (default: demo)", file=sys.stderr)
        return 2
    for name in [name for name in os.environ if name.startswith("INTARSIA_")]:
        del os.environ[name]
    directory = Path(arguments[0] if arguments else "demo").absolute()
    try:
        return show(directory)
    except IntarsiaError as error:
        print(f"intarsia: {error.message}" + (f"\n  → {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code


def show(directory: Path) -> int:
    repository = project.create(directory)
    shown = os.path.relpath(directory)
    say(f"A sample project in {shown}: a small Python library, its tests, and {len(project.written_issues())} issues")
    intarsia(repository, "issue", "list")
    say("Four scripted agents work on it at the same time")
    code = intarsia(repository, "run", "--agents", "4")
    if code == 130:
        return code
    say("What landed on main")
    command("git log --oneline --graph")
    run(["git", "--no-pager", "log", "--oneline", "--graph"], directory)
    CONSOLE.print()
    command("python3 -m unittest")
    tests = run([sys.executable, "-m", "unittest"], directory)
    say("What did not, and why")
    intarsia(repository, "issue", "show", BLOCKED)
    return conclude(repository, shown, tests)


def conclude(repository: Repository, shown: str, tests: int) -> int:
    ended = project.ends(repository)
    expected = {issue["id"]: issue["ends"] for issue in project.written_issues()}
    wrong = [f"{id} should be {end}, and is {ended[id]}" for id, end in expected.items() if ended[id] != end]
    if tests:
        wrong.append(f"the tests of {shown} end with exit code {tests}")
    if wrong:
        say("This demo did not go as it should")
        CONSOLE.out("\n".join(wrong))
        return 1
    say("These agents were scripted")
    program = Path(sys.executable).parent / "intarsia"
    if program.is_relative_to(repository.root.parent):
        program = Path("..") / program.relative_to(repository.root.parent)
    CONSOLE.out(
        f"""\
They followed a file, so only the thinking was fake. The commits, the tests, the
merges and the landings were real. So is {BLOCKED}, which they could not do. Let a
real agent try, such as Claude Code, if you have it:

  cd {shown}
  {program} issue reopen {BLOCKED}
  {program} run --agent claude

Or codex; or any program, by --agent 'command: my-agent'. That gets the task on
standard input, or in the file that stands for {{prompt_file}}; it edits, commits,
and ends."""
    )
    return 0


def say(text: str) -> None:
    CONSOLE.print()
    CONSOLE.print(Text(text, style="bold"))
    CONSOLE.print()


def command(line: str) -> None:
    CONSOLE.print(Text(f"$ {line}", style="dim"))


def intarsia(repository: Repository, *arguments: str) -> int:
    command(f"intarsia {' '.join(arguments)}")
    return run([sys.executable, "-m", "intarsia", *arguments], repository.root)


def run(argv: list[str], directory: Path) -> int:
    sys.stdout.flush()
    with interrupts_left_to_child():
        return subprocess.run(argv, cwd=directory, stderr=subprocess.STDOUT, check=False).returncode


@contextmanager
def interrupts_left_to_child() -> Iterator[None]:
    """Ctrl-C reaches the child as well; it knows what to do, and we wait for it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
