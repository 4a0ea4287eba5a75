"""`intarsia merge-driver`: symbol merging for git itself, in any repository."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from intarsia.cli.code_merge import MergeConflict
from intarsia.cli.common import Output, find_repository, with_output, working_directory
from intarsia.code.languages import LANGUAGES, language_of
from intarsia.errors import NotReady
from intarsia.workspace.git import Git

NAME = "merge.intarsia.name"
DRIVER = "merge.intarsia.driver"
TITLE = "intarsia: by symbol"
BEGIN, END = "# intarsia merge-driver: begin", "# intarsia merge-driver: end"
_BLOCK = re.compile(rf"^{re.escape(BEGIN)}\n.*?^{re.escape(END)}\n", re.MULTILINE | re.DOTALL)

everywhere = click.option("--global", "everywhere", is_flag=True, help="For all repositories of this user.")


@dataclass(frozen=True)
class Place:
    """Where git keeps what the driver needs: in this repository, or for this user."""

    git: Git
    scope: str
    attributes: Path

    def setting(self, key: str) -> str:
        return self.git.run("config", self.scope, "--get", key, ok=(0, 1)).rstrip("\n")

    def lines(self) -> str:
        return self.attributes.read_text("utf-8", "surrogateescape") if self.attributes.is_file() else ""

    @property
    def is_installed(self) -> bool:
        return bool(self.setting(DRIVER)) and _BLOCK.search(self.lines()) is not None


@click.group(name="merge-driver")
def merge_driver() -> None:
    """Let git merge source files by symbol, in any repository: merge, rebase, cherry-pick, revert and stash.

    \b
    Example:
      intarsia merge-driver install
      git merge topic
    """


@merge_driver.command()
@everywhere
@with_output
def install(output: Output, /, everywhere: bool) -> None:
    """Tell git to merge files of the languages that intarsia knows with `intarsia merge-driver run`.

    This writes merge.intarsia.* in the repository's configuration and a marked block in .git/info/attributes; with
    --global, in those of the user. Where a .gitattributes names a merge driver for the same files, that of the
    repository's own info/attributes goes first, and that of the user's last.

    \b
    Example:
      intarsia merge-driver install
      intarsia merge-driver install --global
    """
    place = _place(everywhere)
    before = _BLOCK.sub("", place.lines())
    patterns = [f"*.{name} merge=intarsia" for name in _extensions()]
    block = "\n".join([BEGIN, *patterns, END, ""])
    _write(place.attributes, before + ("" if before.endswith("\n") or not before else "\n") + block)
    place.git.run("config", place.scope, NAME, TITLE)
    place.git.run("config", place.scope, DRIVER, _command())
    output.show(
        f"git merges by symbol {_scope(everywhere)}.\nTo undo: intarsia merge-driver uninstall{_flag(everywhere)}",
        command=place.setting(DRIVER),
        attributes=str(place.attributes),
    )


@merge_driver.command()
@everywhere
@with_output
def uninstall(output: Output, /, everywhere: bool) -> None:
    """Take back what install wrote; other settings and attributes stay.

    \b
    Example:
      intarsia merge-driver uninstall
    """
    place = _place(everywhere)
    was = bool(place.setting(DRIVER)) or _BLOCK.search(place.lines()) is not None
    lines = place.lines()
    if _BLOCK.search(lines):
        _write(place.attributes, _BLOCK.sub("", lines))
    place.git.run("config", place.scope, "--remove-section", "merge.intarsia", ok=(0, 1, 5, 128))
    text = f"git merges as before {_scope(everywhere)}." if was else f"It was not installed {_scope(everywhere)}."
    output.show(text, was_installed=was)


@merge_driver.command()
@with_output
def status(output: Output, /) -> int:
    """Say whether git merges by symbol here. Exit code 1 if not, or if the command it would run is gone.

    \b
    Example:
      intarsia merge-driver status
    """
    places = {"here": _place(False), "for this user": _place(True)}
    installed = [name for name, place in places.items() if place.is_installed]
    command = next((places[name].setting(DRIVER) for name in installed), "")
    program = shlex.split(command)[0].replace("%%", "%") if command else ""
    works = bool(program) and os.access(program, os.X_OK)
    said = f"git merges by symbol: installed {' and '.join(installed)}." if installed else "git merges by lines alone."
    if installed and not works:
        said += f"\nBut {program} is gone. Install again: intarsia merge-driver install"
    output.show(said, installed=installed, command=command, works=works)
    return 0 if works else 1


@merge_driver.command()
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("ours", type=click.Path(path_type=Path))
@click.argument("theirs", type=click.Path(path_type=Path))
@click.argument("size", type=int)
@click.argument("path")
@with_output
def run(output: Output, /, base: Path, ours: Path, theirs: Path, size: int, path: str) -> int:
    """What git calls: merge into OURS. On a conflict, markers stand around the symbols that both sides changed.

    Files of other types are merged as git does it.

    \b
    Example:
      intarsia merge-driver run %O %A %B %L %P

    Exit codes: 0 merged; 1 a conflict.
    """
    from intarsia.code.merging.merge import Merged, merge
    from intarsia.code.merging.shape import is_binary

    old, mine, other = (file.read_bytes() for file in (base, ours, theirs))
    language = language_of(path, mine)
    if language is None or any(map(is_binary, (old, mine, other))):
        return _as_git(base, ours, theirs, size)
    merged = merge(old, mine, other, language)
    if isinstance(merged, Merged):
        ours.write_bytes(merged.data)
        output.show("", overlaps=[])
        return 0
    style = Git(working_directory()).try_line("config", "--get", "merge.conflictStyle")
    names = ("ours", "base", "theirs")
    ours.write_bytes(merged.marked(names, size=size, with_base=style in ("diff3", "zdiff3")))
    said = [f"{overlap.key or 'the file'}: {overlap.said}" for overlap in merged.overlaps]
    if output.json:
        raise MergeConflict(f"{path} is in conflict.", overlaps=said)
    for line in said:
        print(f"intarsia: {path}: {line}", file=sys.stderr)
    return 1


def _as_git(base: Path, ours: Path, theirs: Path, size: int) -> int:
    argv = ["git", "merge-file", f"--marker-size={size}", "-L", "ours", "-L", "base", "-L", "theirs"]
    done = subprocess.run([*argv, str(ours), str(base), str(theirs)], stderr=subprocess.DEVNULL, check=False)
    # Binary files: 255, and ours stays as it is.
    return min(done.returncode, 1)


def _place(everywhere: bool) -> Place:
    if not everywhere:
        repository = find_repository()
        return Place(repository.git, "--local", repository.git_dir / "info" / "attributes")
    git = Git(working_directory())
    chosen = git.run("config", "--global", "--type=path", "--get", "core.attributesFile", ok=(0, 1)).rstrip("\n")
    return Place(git, "--global", Path(chosen) if chosen else _default_attributes())


def _default_attributes() -> Path:
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "git" / "attributes"


def _extensions() -> list[str]:
    return sorted(name for language in LANGUAGES.values() for name in language.extensions.split())


def _command() -> str:
    """With this very Python, whatever is on the path when git runs it, and nothing imported from where git stands."""
    argv = [sys.executable, "-P", "-m", "intarsia", "merge-driver", "run"]
    quoted = " ".join(shlex.quote(word) for word in argv).replace("%", "%%")
    return f"{quoted} %O %A %B %L %P"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", "surrogateescape")
    except OSError as error:
        raise NotReady(f"{path} can't be written: {error.strerror}.", hint="Make it writable.") from error


def _scope(everywhere: bool) -> str:
    return "in all repositories of this user" if everywhere else "in this repository"


def _flag(everywhere: bool) -> str:
    return " --global" if everywhere else ""
