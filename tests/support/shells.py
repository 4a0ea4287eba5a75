"""Random command lines, and what bash really runs of them."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

NAMES = ["aa", "bb", "cc", "git", "rm", "ls"]
REAL = ["bash", "env", "xargs", "cat", "nohup", "timeout"]
_NOTE = r"""#!/bin/bash
s="${0##*/}"; for a; do s+=$'\x1f'"$a"; done; printf '%s' "$s" > "$NOTES/$$"
"""


class Recorder:
    """A PATH on which most programs only note how they were called."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "bin"
        self._bin.mkdir()
        self._folder = folder
        self._runs = 0
        note = self._bin / "note"
        note.write_text(_NOTE)
        note.chmod(0o755)
        for name in NAMES:
            (self._bin / name).symlink_to(note)
        for name in [*REAL, "sh"]:
            found = shutil.which("bash" if name == "sh" else name)
            assert found
            (self._bin / name).symlink_to(found)

    def run(self, line: str) -> list[list[str]]:
        """The words of each call, in any order."""
        self._runs += 1
        notes = self._folder / f"notes-{self._runs}"
        notes.mkdir()
        env = {"PATH": str(self._bin), "HOME": "/h", "NOTES": str(notes)}
        subprocess.run(
            ["bash", "-c", line], cwd=self._folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
        )
        return [note.read_text(errors="replace").split("\x1f") for note in notes.iterdir()]


def random_line(chance: random.Random, depth: int) -> str:
    line = _command(chance, depth)
    for _ in range(chance.randrange(3)):
        line += chance.choice([" && ", " || ", "; ", " | ", ";", "\n"]) + _command(chance, depth)
    return line


def _command(chance: random.Random, depth: int) -> str:
    name = chance.choice(NAMES)
    if depth <= 0 or chance.random() < 0.4:
        words = [_word(chance, depth) for _ in range(chance.randrange(3))]
        return " ".join([name, *words]) + chance.choice(["", "", " >/dev/null", " 2>&1", " </dev/null", "  # note"])
    inner, other = random_line(chance, depth - 1), random_line(chance, depth - 1)
    return chance.choice(
        [
            f"( {inner}\n)",
            f"{{ {inner}\n}}",
            f"if {inner}\nthen {other}\nelse {name}; fi",
            f"for i in a b; do {inner}\ndone",
            f"case x in x) {inner}\n;; y|z) {other}\n;; esac",
            f"bash <<E\n{name} x\nE\n{name}",
            f"cat <<'E' | sh\n{name} 'x'\nE\n{name}",
            f"cat <<-E\n\t$({name} x)\n\tE\n{name}",
            f"env A=b timeout 60 {name} y",
            f"eval '{name} z'",
            f"A=1 command {name}",
            f"sh -c '{name} \"$@\"' x y",
            f"f{depth}() {{ {inner}\n}}; f{depth}",
        ]
    )


def _word(chance: random.Random, depth: int) -> str:
    inside = random_line(chance, depth - 1) if depth > 0 else "aa"
    plain = ["x", "-f", "--hard", "a=b", "#x", "x#y", "~", ".", "a,b", "--", "\\;", '\\"', "\\ x", "\\\n", "a\\\nb"]
    quoted = ["'a b'", "';'", "'$(aa)'", "'`bb`'", "''", '"a b"', '"\\""', '"`aa`"', '"\\$x"', '"${HOME}"', "$'\\x41'"]
    expanding = ["$X", "${X:-y}", "$#", "$@", "$((1+2))", "{a,~}", "{,b}", "{x,{y,z}}w", "{1..3}", "`cc \\`bb\\``"]
    running = [f"$({inside}\n)", f'"$({inside}\n)"', f"<({inside}\n)", f"${{X:-$({inside}\n)}}"]
    return chance.choice(chance.choice([plain, quoted, expanding, running]))
