from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from intarsia.agents import Limits, Turn
from intarsia.agents.environment import MARKER
from intarsia.agents.supervision import end_marked
from tests.support import wire_program

Script = Sequence[dict[str, Any]]


class Stage:
    """A turn of a program that is played from a script; `unexpected` is what it heard that is not in there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.session = f"s-{secrets.token_hex(4)}"

    def program(self, script: Script) -> str:
        place = self.folder / "script.json"
        place.write_text(json.dumps(list(script)))
        program = self.folder / "program"
        argv = shlex.join([sys.executable, str(wire_program.__file__), str(place)])
        program.write_text(f'#!/bin/sh\necho "$@" >{self.folder}/arguments\nexec {argv}\n')
        program.chmod(0o755)
        return str(program)

    def turn(self, **given: Any) -> Turn:
        env = {**os.environ, MARKER: self.session, "INTARSIA_ROLE": "agent"}
        turn = Turn(self.session, "it-1", 1, "Do it.", self.workspace, self.folder, env, Limits(0, 0, 1_000_000))
        return replace(turn, **given)

    @property
    def unexpected(self) -> str:
        place = self.folder / "unexpected"
        return place.read_text() if place.exists() else ""

    @property
    def arguments(self) -> str:
        return (self.folder / "arguments").read_text()


MakeStage = Callable[[], Stage]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    end_marked(made.session, grace=0)
