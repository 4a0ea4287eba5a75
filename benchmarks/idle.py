"""What a supervisor costs that waits for work."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

from benchmarks.support import Result, repository

WARM_UP, WATCHED = 3, 10


def measure() -> Iterator[Result]:
    with repository() as bench:
        bench.add_issues(0)
        argv = [sys.executable, "-m", "intarsia", "run", "--watch", "--agent", "command: true"]
        run = subprocess.Popen(argv, cwd=bench.root, env=bench.env, stdout=subprocess.DEVNULL)
        try:
            supervisor = psutil.Process(run.pid)
            time.sleep(WARM_UP)
            before = sum(supervisor.cpu_times()[:2])
            time.sleep(WATCHED)
            percent = (sum(supervisor.cpu_times()[:2]) - before) / WATCHED * 100
            megabytes = supervisor.memory_info().rss / 1e6
        finally:
            run.send_signal(signal.SIGINT)
            run.wait(10)
    yield Result("idle supervisor, CPU", percent, "%", 1)
    yield Result("idle supervisor, memory", megabytes, "MB", 60)
