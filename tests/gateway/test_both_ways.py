"""Every command of an agent says the same by the gateway and on the database: same JSON, same exit code."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from intarsia.errors import NotReady
from intarsia.gateway import remote
from intarsia.gateway.catalogue import OPERATIONS
from intarsia.gateway.operation import Site
from intarsia.gateway.server import Server
from intarsia.kernel import Database, issues, members, sessions
from intarsia.settings import load
from intarsia.workspace import pool
from intarsia.workspace.repository import Repository
from tests.support.here import Here, Said
from tests.support.sandbox import Sandbox

SECRETS = {"alice": "a" * 64, "bob": "b" * 64, "s": "5" * 64}
CODE = "def a():\n    return 1\n\n\nclass C:\n    def m(self):\n        return 1\n"
CONFIG = """
[workspace]
kind = "shared"
wait = 0
[queues.decide]
prefix = "D"
sla = 60
[queues.read]
handler = "reader"
prefix = "R"
[queues.work]
escalate_to = "decide"
"""
APART = {"hooks/decide"}
"""Whose command prints no JSON of ours: see test_hooks.py."""

LOCKS = """
alice: lock acquire x:1 x:2 --note why
bob: lock acquire x:1
bob: lock acquire nonsense
bob: lock acquire x:1 --ttl 0
alice: lock heartbeat x:1 --ttl 900
bob: lock heartbeat x:1
bob: lock check x:1
bob: lock check x:3 --shared
alice: lock list
bob: lock wait x:1 --timeout 0
bob: lock wait x:3
bob: lock guard --on x:1 -- true
bob: lock guard --on x:3 --on x:4 --ttl 60 -- sh -c 'exit 7'
bob: lock guard --on x:3 -- /nowhere/to/be/found
alice: lock guard --on x:2 -- true
alice: lock list
alice: lock release x:1
alice: lock release x:1
alice: lock release --all
alice: lock release --all
"""
ISSUES = """
alice: issue new "First" --id t-1 --body "Do it." --label l --claims code:a.py --priority 1
alice: issue new "First" --id t-1
alice: issue new work "Second" --id t-2 --needs t-1 --external gh-2
alice: issue new nowhere "Third"
alice: issue new " "
alice: issue new "Third" --parent none
alice: issue new "Fourth" --id t-4 --type epic --acceptance "It is there."
alice: issue list
alice: issue list --label l
alice: issue list --status closed
alice: issue ready
alice: issue show t-1
alice: issue show none
alice: issue dep add t-1 t-2
alice: issue dep add t-1 t-4 --kind related
alice: issue dep list t-1
alice: issue dep remove t-1 t-4
alice: issue dep remove t-1 t-4
alice: issue claim t-1
bob: issue claim t-1
bob: issue claim t-2
bob: issue close t-1
alice: issue heartbeat t-1 --ttl 100
bob: issue heartbeat t-1
bob: issue complete t-1 mine
alice: issue release t-1 --note later
alice: issue claim t-1 --ttl 1000
alice: issue complete t-1 "It was done."
alice: issue amend t-1 "And well."
alice: issue amend t-1 ""
bob: issue block t-2 "no access"
bob: issue block t-2 again
bob: issue unblock t-2 --note granted
bob: issue unblock t-2
bob: issue transfer t-2 decide --note theirs
bob: issue transfer t-2 nowhere
bob: issue transfer t-2 work
bob: issue escalate t-2 --disagreement d --position p --position q --facts f --option o --option r --queue nowhere
bob: issue escalate t-2 --disagreement d --position p --facts f --option o --option r
bob: issue escalate t-1 --disagreement d --position p --position q --facts f --option o --option r
bob: issue show t-2
alice: issue close t-2 --reason elsewhere
alice: issue close t-2
alice: issue reopen t-2 --note again
alice: issue reopen t-2
s: issue claim t-2
s: issue new "Found on the way" --id t-9
"""
WORDS = """
alice: log write meeting "we keep it"
alice: log write " " x
alice: status "reading"
s: status " "
alice: message send "the schema has moved" --to bob --kind news
alice: message send hello --to nobody
bob: message inbox
bob: message wait --timeout 0
bob: message ack
bob: message ack
bob: message wait --timeout 0
bob: message send thanks --reply-to 1
bob: message inbox --thread 1
alice: message inbox --all
alice: ask "May I?" --wait 0
alice: ask --id 3 --wait 0
alice: ask --id 99 --wait 0
alice: ask
alice: ask "May I?" --wait -1
alice: done
s: done
alice: resolve no_change because
s: resolve no_change " "
s: resolve no_change because
"""
CALLS = """
alice: call start "Look at it" --body "In src/." --to reader
alice: call start " "
alice: call start Look --to nobody
alice: call wait R-1
alice: call return x
s: call start "Look too"
s: call return x
s: call return " "
"""
FILES = r"""
alice: edit src/a.py --old a --new b
s: read src/a.py
s: read src/none.py
s: read ../x
s: edit a.py --old "def a():\n    return 1" --new "def a():\n    return 2"
s: edit a.py --old nowhere --new x
s: edit src/bytes.txt --old @old --new @new
s: read src/bytes.txt
s: write src/a.py < whole
s: write src/new.txt < bytes
s: read src/new.txt
s: insert src/a.py --into C < method
s: insert src/a.py --after nothing < method
s: import src/a.py "import os"
s: import src/a.py ""
s: move src/new.txt src/other.txt
s: move src/new.txt src/other.txt
s: commit -m " "
s: commit -m "By commands"
s: commit -m "By commands"
s: remove src/other.txt
s: remove src/other.txt
"""
STORIES = {"locks": LOCKS, "issues": ISSUES, "words": WORDS, "calls": CALLS, "files": FILES}
INPUT = {"whole": CODE.encode(), "bytes": b"\xff\r\n\0", "method": b"    def n(self):\n        pass\n"}


@dataclass
class Twin:
    """A project, with alice, bob and a session at work, whose commands go to the gateway at `url` or the database."""

    here: Here
    url: str
    session: str

    def say(self, line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Any]:
        """Exit code and answer, without what differs from moment to moment."""
        who, _, command = line.partition(": ")
        command, _, given = command.partition(" < ")
        env = {"INTARSIA_SECRET": SECRETS[who]}
        env |= {"INTARSIA_SESSION": self.session} if who == "s" else {"INTARSIA_AGENT": who}
        if self.url:
            env |= {"INTARSIA_URL": self.url, "INTARSIA_DATABASE_URL": "sqlite:///nowhere/to/be/found"}
        args = [arg.replace("\\n", "\n") for arg in shlex.split(command)]
        at = args.index("--") if "--" in args else len(args)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(INPUT.get(given, b""))))
            said = self.here.call(*args[:at], "--json", *args[at:], env=env)
        return said.code, self._steady(said)

    def _steady(self, said: Said) -> Any:
        text = said.out.replace(self.session, "SESSION").replace(str(self.here.sandbox.root), "ROOT")
        for pattern, name in ((r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME"), (r"\b[0-9a-f]{40}\b", "COMMIT")):
            text = re.sub(pattern, name, text)
        text = re.sub(r"\b(D|R|ia)-[0-9a-f]{4}\b", "ID", text)
        return json.loads(text), said.err


@contextmanager
def twin(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], served: bool
) -> Iterator[Twin]:
    sandbox = Sandbox(folder / "project", "")
    sandbox.write("src/bytes.txt", "").write_bytes(b"a\xfeb\n")
    sandbox.write("src/a.py", CODE)
    sandbox.write("intarsia.toml", CONFIG)
    sandbox.git("add", "--all")
    sandbox.git("commit", "--quiet", "-m", "Code")
    sandbox.write("old", "").write_bytes(b"a\xfe")
    sandbox.write("new", "").write_bytes(b"c\xfd")
    repository = Repository.discover(sandbox.root)
    url = f"sqlite://{folder / 'twin.db'}"
    sandbox.env |= {"INTARSIA_DATABASE_URL": url, "INTARSIA_PROJECT_ID": "twin"}
    database = Database(url, "twin")
    session = begun(database, repository)
    here = Here(sandbox, monkeypatch, capfd)
    site = Site(repository, database, load(repository.root, {}).config)
    if served:
        with Server(site) as server:
            yield Twin(here, server.url, session)
    else:
        yield Twin(here, "", session)
    database.close()


def begun(database: Database, repository: Repository) -> str:
    with database.transaction() as tx:
        for name in ("alice", "bob"):
            members.join(tx, name, SECRETS[name])
        issues.create(tx, issues.Draft(title="Work", id="it-1"), "tester")
        started = sessions.start(
            tx, run="r-1", agent="a", driver="script", supervisor="h:1:1", secret=SECRETS["s"], ttl=3600
        )
        assert started is not None
        pool.acquire(tx, started[0].id, "h", 3600)
    repository.make_state()
    return started[0].id


@pytest.mark.parametrize("story", STORIES.values(), ids=list(STORIES))
def test_the_same_is_said(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = story.strip().splitlines()
    said = []
    for name in ("database", "gateway"):
        with twin(tmp_path / name, monkeypatch, capfd, name == "gateway") as one:
            said.append([(line, *one.say(line, monkeypatch)) for line in lines])
    for here, there in zip(*said, strict=True):
        assert here == there
    codes = {code for _, code, _ in said[0]}
    assert {0, 1, 4} <= codes


def test_no_operation_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: set[str] = set()

    def noted(url: str, credentials: Any, operation: Any, given: Any) -> Any:
        asked.add(operation.path)
        raise NotReady("Only noted.")

    monkeypatch.setattr(remote, "ask", noted)
    with twin(tmp_path, monkeypatch, capfd, served=False) as one:
        one.url = "http://127.0.0.1:9"
        for line in filter(None, "".join(STORIES.values()).splitlines()):
            one.say(line, monkeypatch)
    assert asked == {operation.path for operation in OPERATIONS} - APART
