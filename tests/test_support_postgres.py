import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from intarsia.agents.reaper import lives
from tests.support.postgres import Server, fresh_directory, installed_package
from tests.support.until import until

STARTER = """
import time
from tests.support.postgres import Server, fresh_directory
server = Server.start(fresh_directory())
print(server.process.pid, server.directory, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server.start(fresh_directory())
    yield server
    server.stop()


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return [str(name) for (name,) in rows]


def test_the_shared_server_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_two_databases_are_separate(server: Server) -> None:
    first, second = server.create_database("first"), server.create_database("Second & last/")
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE patch (id int)")
    assert (tables(first), tables(second)) == (["patch"], [])


def test_a_database_is_dropped_under_an_open_connection(server: Server) -> None:
    url = server.create_database("short_lived")
    with psycopg.connect(url):
        server.drop_database("short_lived")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_stop_ends_the_processes_and_removes_the_directory() -> None:
    server = Server.start(fresh_directory())
    assert server.process is not None
    family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    with psycopg.connect(server.url()):
        server.stop()
    until(lambda: not any(map(lives, family)))
    assert not server.directory.exists()


def test_the_server_ends_when_its_starter_is_killed() -> None:
    root = Path(__file__).parents[1]
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True, cwd=root)
    assert starter.stdout is not None
    pid, directory = starter.stdout.readline().split()
    process = psutil.Process(int(pid))
    assert process.is_running()
    starter.kill()
    starter.communicate()
    until(lambda: not lives(process) and not Path(directory).exists())


def test_a_server_that_cannot_start_says_why() -> None:
    directory = fresh_directory()
    (directory / "data").mkdir()
    (directory / "data" / "stray").touch()
    with pytest.raises(RuntimeError, match="exists but is not empty"):
        Server.start(directory)
    assert not directory.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
def test_root_can_use_a_wheel_that_only_root_can_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    package = installed_package()
    shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("include", "*.a", "pginstall"))
    shutil.copytree(package.with_name(f"{package.name}.libs"), tmp_path / f"{package.name}.libs")
    server = Server.start(fresh_directory(), package=tmp_path / package.name)
    try:
        assert (server.directory / "site").is_dir()
        assert tables(server.url()) == []
    finally:
        server.stop()
