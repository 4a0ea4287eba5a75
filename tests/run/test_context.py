"""Whether a supervisor still lives is judged by process and start time, never by process id alone."""

from __future__ import annotations

import os
import subprocess
import sys

from intarsia.run.context import host_name, is_alive, supervisor_id


def test_this_process_is_alive() -> None:
    assert is_alive(supervisor_id("here"), "here") is True


def test_another_process_with_the_same_id_is_not_it() -> None:
    host, pid, started = supervisor_id("here").rsplit(":", 2)
    assert is_alive(f"{host}:{pid}:{started}0", "here") is False


def test_a_process_that_ended_is_dead_even_before_its_parent_noticed() -> None:
    code = "from intarsia.run.context import supervisor_id; print(supervisor_id('here'))"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    supervisor = child.stdout.read().strip()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(supervisor, "here") is False
    child.communicate()


def test_of_another_host_nothing_is_known() -> None:
    assert is_alive(supervisor_id("there"), "here") is None


def test_host_names_can_be_part_of_a_resource() -> None:
    assert not set(host_name()) & set(":/")
