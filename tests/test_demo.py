"""`make demo`, as it is run on a machine that knows nothing: no git configuration, no identity, no terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from intarsia.demo import project


def run_demo(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "intarsia.demo", *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def bare_machine(tmp_path: Path) -> dict[str, str]:
    """git has no identity and calls its first branch master; our own variables point somewhere else."""
    config = tmp_path / "gitconfig"
    config.write_text(
        "[init]\n    defaultBranch = master\n[user]\n    useConfigOnly = true\n[commit]\n    gpgSign = true\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    return {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(config),
        "INTARSIA_ROOT": "/nowhere",
        "INTARSIA_RUN_AGENTS": "1",
    }


def test_the_demo_goes_as_it_says(tmp_path: Path, bare_machine: dict[str, str]) -> None:
    place = tmp_path / "somewhere"
    place.mkdir()
    done = run_demo(cwd=place, env=bare_machine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    demo = place / "demo"

    subjects = git(demo, "log", "--format=%s", "main").splitlines()
    assert {"Say negative sizes in the largest unit too", "Read sizes back with parse_size"} <= set(subjects)
    assert "Count in units of 1000" not in subjects
    landed = set(git(demo, "log", "--format=%(trailers:key=Issue,valueonly,separator=)", "main").split())
    assert landed == {issue["id"] for issue in project.written_issues() if issue["ends"] == "landed"}
    assert git(demo, "status", "--short") == ""
    assert git(demo, "for-each-ref", "--format=%(refname)", "refs/heads").split() == [
        "refs/heads/intarsia/rd-5/1",
        "refs/heads/main",
    ]

    assert "told: The check test failed with exit code 1" in done.stdout
    assert re.search(
        r"blocked +rd-5 .*\n +The check test failed with .* It changed nothing when told so\.", done.stdout
    )
    assert re.search(r"Ran 1\d tests in .*\n\nOK\n", done.stdout)
    assert "These agents were scripted" in done.stdout
    assert "\x1b" not in done.stdout

    again = subprocess.run([sys.executable, "-m", "unittest"], cwd=demo, check=False, capture_output=True)
    assert again.returncode == 0


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_nothing_but_a_former_demo_is_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "demo"
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "file").write_text("mine")
    if kind == "directory":
        treasure.rename(target)
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(treasure)
    done = run_demo(cwd=tmp_path)
    assert done.returncode == 1
    assert "is no former demo" in done.stderr
    assert (target if kind == "file" else target / "file").read_text() == "mine"


def test_a_former_demo_and_an_empty_directory_are_replaced(tmp_path: Path) -> None:
    target = tmp_path / "sample"
    target.mkdir()
    project.create(target)
    (target / "left behind").write_text("")
    repository = project.create(target)
    assert not (target / "left behind").exists()
    assert repository.root == target
    assert set(project.ends(repository).values()) == {"waiting"}


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    done = run_demo("--help", cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage: python -m intarsia.demo [DIRECTORY]" in done.stderr
    assert list(tmp_path.iterdir()) == []
