from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from intarsia.config import Config
from intarsia.gateway.app import Gateway
from intarsia.gateway.operation import Site
from intarsia.kernel import Database, members
from intarsia.workspace.repository import Repository
from tests.support.sandbox import Sandbox

SECRETS = {"alice": "a" * 64, "bob": "b" * 64}


@dataclass
class Shown:
    """A watcher that remembers."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def activity(self, session: str, text: str) -> None:
        self.said.append((session, text))

    def notice(self, text: str) -> None:
        self.said.append(("", text))


@dataclass
class Http:
    """The endpoints, called in this process."""

    client: TestClient
    watcher: Shown

    def post(self, path: str, me: str = "alice", /, **given: Any) -> tuple[int, dict[str, Any]]:
        """Status and answer of an operation."""
        headers = {"Authorization": f"Bearer {SECRETS.get(me, me)}"} if me else {}
        response = self.client.post(f"/v1/{path}", json=given, headers=headers)
        answer: dict[str, Any] = response.json()
        return response.status_code, answer

    def ok(self, path: str, me: str = "alice", /, **given: Any) -> dict[str, Any]:
        status, answer = self.post(path, me, **given)
        assert (status, answer["ok"]) == (200, True), answer
        return answer


def joined(sandbox: Sandbox, database: Database) -> Site:
    """A project in which alice and bob have joined."""
    with database.transaction() as tx:
        for name, secret in SECRETS.items():
            members.join(tx, name, secret)
    return Site(Repository.discover(sandbox.root), database, Config())


@contextmanager
def served(site: Site) -> Iterator[Http]:
    watcher = Shown()
    app = Gateway(site, watcher).app()
    with TestClient(app, base_url="http://127.0.0.1:1234", raise_server_exceptions=False) as client:
        yield Http(client, watcher)


@pytest.fixture
def each_http(sandbox: Sandbox, database: Database) -> Iterator[Http]:
    """On each of the two databases."""
    with served(joined(sandbox, database)) as http:
        yield http


@pytest.fixture
def site(sandbox: Sandbox, tmp_path: Path) -> Iterator[Site]:
    database = Database(f"sqlite://{tmp_path / 'gateway.db'}", "p-1")
    yield joined(sandbox, database)
    database.close()


@pytest.fixture
def http(site: Site) -> Iterator[Http]:
    with served(site) as http:
        yield http
