"""What the documentation says is true: examples run, references are those of the code, links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from intarsia.cli import reference
from intarsia.settings import load

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
# What differs from run to run, and what stands for it in the comparison.
VARYING = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"\d\d:\d\d:\d\d", "TIME"),
    (r"\b\d+(\.\d+)? s\b", "SECONDS"),
    (r"\b([rs])-[0-9a-f]{8}\b", r"\1-ID"),
    (r"\b[0-9a-f]{10}\b", "COMMIT"),
]


@dataclass
class Example:
    command: str
    output: list[str] = field(default_factory=list)


def examples(page: Path) -> list[Example]:
    """Lines of `console` blocks: `$ ` begins a command, `>` goes on with it, the rest is what it prints."""
    found: list[Example] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Example(line[2:]))
            elif line.startswith(">"):
                found[-1].command += "\n" + line[2:]
            else:
                found[-1].output.append(line)
    return found


def pattern(lines: list[str]) -> str:
    """A `…` alone on a line stands for any lines, within a line for any text."""
    parts = [r"(?:.*\n)*?" if line == "…" else r".*".join(map(re.escape, line.split("…"))) + r"\n" for line in lines]
    return "".join(parts)


def steady(text: str) -> str:
    for varying, name in VARYING:
        text = re.sub(varying, name, text)
    return text


class Shell:
    """Runs one command after another, each where the last one ended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._place = directory / ".place"
        programs = Path(sys.executable).parent
        self._env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", f'{command}\nstatus=$?\npwd > "$0"\nexit $status', str(self._place)],
            cwd=self._place.read_text().strip() if self._place.exists() else self._directory,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\nended with {done.returncode}:\n{done.stdout}"
        return done.stdout


def test_the_tutorial_has_examples() -> None:
    assert len(examples(DOCS / "tutorial.md")) > 20


SHOWING = [page for page in PAGES if examples(page)]


@pytest.mark.parametrize("page", SHOWING, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run_and_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for example in examples(page):
        printed = steady(shell.run(example.command))
        expected = pattern([steady(line) for line in example.output])
        assert re.fullmatch(expected, printed), f"$ {example.command}\nprinted:\n{printed}\nnot:\n{expected}"


@pytest.mark.parametrize("name", ["commands.md", "configuration.md"])
def test_generated_pages_are_those_of_the_code(name: str) -> None:
    committed = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert committed == reference.pages()[name], "The code has changed: make docs"


def test_every_event_kind_is_documented() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "intarsia").rglob("*.py"))
    kinds = set(re.findall(r'record\(\s*(?:tx,\s*)?"([a-z_]+)"', source))
    kinds |= {f"session_{stage}" for stage in ("working", "checking", "landing", "parked", "done", "failed", "blocked")}
    documented = set(re.findall(r"`([a-z_]+)`", (DOCS / "reference" / "state.md").read_text(encoding="utf-8")))
    assert len(kinds) > 15
    assert not kinds - documented


def test_every_variable_an_agent_gets_is_documented() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "intarsia" / "run").rglob("*.py"))
    names = set(re.findall(r'"(INTARSIA_[A-Z]+|PORT|TMPDIR|XDG_[A-Z_]+)":', source))
    assert len(names) > 5
    page = (DOCS / "how-to" / "agents.md").read_text(encoding="utf-8")
    assert not {name for name in names if f"`{name}`" not in page}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_configuration_examples_are_valid(page: Path, tmp_path: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        (tmp_path / "intarsia.toml").write_text(block, encoding="utf-8")
        load(tmp_path, environ={})
