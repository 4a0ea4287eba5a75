from collections.abc import Iterator

import pytest

from intarsia.kernel import Database
from tests.support.here import Here
from tests.support.sandbox import Sandbox


@pytest.fixture
def here(each_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """The command, on each of the two databases; nobody has joined yet."""
    return Here(each_sandbox, monkeypatch, capfd)


@pytest.fixture
def store(each_sandbox: Sandbox) -> Iterator[Database]:
    """The database that `here` works on."""
    opened = Database(each_sandbox.env["INTARSIA_DATABASE_URL"], each_sandbox.env["INTARSIA_PROJECT_ID"])
    yield opened
    opened.close()
