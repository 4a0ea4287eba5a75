"""What all sessions of one `intarsia run` share."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from intarsia.agents import Driver, Tool
from intarsia.config import Agent, Config
from intarsia.kernel.database import Database
from intarsia.kernel.sessions import Session
from intarsia.run.crew import Crew
from intarsia.run.line import Line
from intarsia.run.progress import Reporter
from intarsia.run.prompts import Prompts
from intarsia.workspace.landing import Landing
from intarsia.workspace.repository import Repository

if TYPE_CHECKING:
    from intarsia.workspace.shared import Tree


@dataclass(frozen=True)
class Worker:
    """A configured agent and its driver."""

    name: str
    agent: Agent
    driver: Driver

    @property
    def account(self) -> str:
        return account_of(self.agent)


def account_of(agent: Agent) -> str:
    return agent.account or agent.driver


@dataclass
class Context:
    """`url` is that of the gateway, if there is one; `tools` are more tools for the agent of a session."""

    repository: Repository
    database: Database
    config: Config
    worker: Worker
    identity: tuple[str, str]
    landing: Landing
    crew: Crew
    run: str
    host: str
    supervisor: str
    reporter: Reporter
    tree: Tree | None = None
    url: str = ""
    tools: Callable[[str], tuple[Tool, ...]] = field(default=lambda session: ())
    parent: Session | None = None
    fallback: tuple[Worker, ...] = ()
    prompts: Prompts = field(default_factory=lambda: Prompts({}))
    line: Line = field(default_factory=Line)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def agent_name(self) -> str:
        return self.worker.name

    @property
    def agent(self) -> Agent:
        return self.worker.agent

    @property
    def driver(self) -> Driver:
        return self.worker.driver

    @property
    def target(self) -> str:
        return self.landing.target

    def folder(self, session: str) -> Path:
        """Where a session's prompts, output and check logs are kept."""
        return self.repository.state / "sessions" / session


def host_name() -> str:
    """This machine's name; a container gets its own, as it can't see the processes of others."""
    name = socket.gethostname().replace(":", "-").replace("/", "-")
    if sys.platform == "linux":
        namespace = Path("/proc/self/ns/pid").stat().st_ino
        # The inode of the machine's first pid namespace, fixed by the kernel (include/linux/proc_ns.h).
        if namespace != 0xEFFFFFFC:
            return f"{name}-{namespace}"
    return name


def supervisor_id(host: str) -> str:
    """Host, process and its start time, so that a reused process id is not mistaken for us."""
    return f"{host}:{os.getpid()}:{_started(os.getpid())}"


def is_alive(supervisor: str, host: str) -> bool | None:
    """Whether that supervisor still runs; None when it is on another host, where we can't see."""
    its_host, pid, started = supervisor.rsplit(":", 2)
    return None if its_host != host else _started(int(pid)) == started


def _started(pid: int) -> str | None:
    """When a process started, in a form that a change of the system's clock does not alter; None if it is not alive."""
    if sys.platform == "linux":
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        except OSError:
            return None
        return None if state in "ZX" else fields[18]
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
    except psutil.Error:
        return None
