import os
import secrets
import signal
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from intarsia.clock import ManualClock
from intarsia.kernel import Database
from intarsia.workspace.git import surroundings
from tests.support.postgres import Server, create_database, drop_database, fresh_directory
from tests.support.sandbox import Sandbox

POSTGRES_VARIABLE = "INTARSIA_TEST_POSTGRES"
SCRUBBED = ("GIT_*", "INTARSIA_*", "XDG_*", "*_API_KEY", "*_TOKEN", "ANTHROPIC_*", "OPENAI_*", "GEMINI_*")
GIT_CONFIG = """\
[user]
    name = Test User
    email = test@example.invalid
[init]
    defaultBranch = main
"""
SERVER = pytest.StashKey[Server]()

# How long an example takes says more of the machine than of us.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    _heed_signals()
    is_worker = hasattr(config, "workerinput")
    runs_tests = not (config.option.collectonly or config.option.help)
    if runs_tests and not is_worker and POSTGRES_VARIABLE not in os.environ:
        server = Server.start(fresh_directory())
        config.stash[SERVER] = server
        os.environ[POSTGRES_VARIABLE] = server.url()  # how the workers of pytest-xdist learn of it


def _heed_signals() -> None:
    """Who starts us in the background has us ignore some, and with us all that we start, as if that were their wish."""
    instead = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: _pass, signal.SIGQUIT: _pass}
    for number, handler in instead.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def _pass(number: int, frame: object) -> None:
    pass


def pytest_unconfigure(config: pytest.Config) -> None:
    if SERVER in config.stash:
        del os.environ[POSTGRES_VARIABLE]
        config.stash[SERVER].stop()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database of this process's own, shared by its tests."""
    server_url = os.environ[POSTGRES_VARIABLE]
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{secrets.token_hex(4)}"
    yield create_database(server_url, name)
    drop_database(server_url, name)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or changes, what the person who runs it has configured, or what another test had."""
    for name in list(os.environ):
        if name != POSTGRES_VARIABLE and any(fnmatchcase(name, pattern) for pattern in SCRUBBED):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")  # not inside tmp_path, which tests expect to find empty
    (home / "test.gitconfig").write_text(GIT_CONFIG)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "test.gitconfig"))
    surroundings.cache_clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Each of the two databases in turn; tests share the PostgreSQL one and differ by their project."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path_factory.mktemp('database') / 'intarsia.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(database_url: str, clock: ManualClock) -> Iterator[Database]:
    """An empty project on each database, with a clock that tests move."""
    opened = Database(database_url, f"p-{secrets.token_hex(6)}", clock)
    yield opened
    opened.close()


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A repository with one commit, on the default database."""
    return Sandbox(tmp_path / "project")


@pytest.fixture
def each_sandbox(tmp_path: Path, database_url: str) -> Sandbox:
    """The same on each of the two databases."""
    return Sandbox(tmp_path / "project", database_url)
