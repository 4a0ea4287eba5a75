"""The `intarsia` command in this process: as quick as a function, for tests that need no process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

import intarsia.cli
from tests.support.sandbox import Sandbox


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        answer: dict[str, Any] = json.loads(line)
        return answer


class Here:
    """Calls commands in a sandbox's repository, as one or another agent."""

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.sandbox = sandbox
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def call(self, *args: str, env: Mapping[str, str] | None = None, me: str = "") -> Said:
        """`intarsia ARGS`, as the member `me`; the caller looks at the exit code."""
        with self._monkeypatch.context() as patch:
            patch.chdir(self.sandbox.root)
            patch.setattr(sys, "argv", ["intarsia", *args])
            named = {"INTARSIA_AGENT": me} if me else {}
            for name, value in {**self.sandbox.env, **named, **(env or {})}.items():
                if os.environ.get(name) != value:
                    patch.setenv(name, value)
            self._capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                intarsia.cli.main()
            said = self._capfd.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    def ok(self, *args: str, me: str = "", **env: str) -> str:
        """`intarsia ARGS`, which must succeed; its text."""
        said = self.call(*args, me=me, env=env)
        assert (said.code, said.err) == (0, ""), said
        return said.out

    def json(self, *args: str, me: str = "", **env: str) -> dict[str, Any]:
        """The answer of `intarsia ARGS --json`, which must succeed."""
        said = self.call(*args, "--json", me=me, env=env)
        assert (said.code, said.err, said.json["ok"]) == (0, "", True), said
        return said.json

    def refused(self, *args: str, me: str = "", **env: str) -> tuple[int, str]:
        """Exit code and `code` of `intarsia ARGS --json`, which must fail, with a message, on stdout only."""
        said = self.call(*args, "--json", me=me, env=env)
        assert said.code, said
        assert (said.err, said.json["ok"], bool(said.json["message"])) == ("", False, True), said
        return said.code, said.json["code"]
