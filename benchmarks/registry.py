"""Many agents extend the same hot spots: operations in modules that all register in one function, or in four tables.

Each operation is 0.2 s of thinking, a function to write and a line in a shared place. Compared in one run: intarsia in
both kinds of workspace (that all may add to the registry is configured), one agent after another, git worktrees that
are merged at the end, and the same with git's union merge for the shared file. The best that can be is
operations x 0.2 s / agents.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.support import Result, environment

THINKING = 0.2
ALLOWED = 1.25
AGENTS = (3, 8)
END = "    return registry\n"


@dataclass(frozen=True)
class Operation:
    """One task: `name` in `module`, and the lines that put it where it is looked up (`tables`; none: nowhere)."""

    number: int
    module: str
    tables: Sequence[str]

    @property
    def name(self) -> str:
        return f"op_{self.number}"

    @property
    def stub(self) -> str:
        return f"def {self.name}(value):\n    raise NotImplementedError\n"

    @property
    def body(self) -> str:
        return f'def {self.name}(value):\n    """Add {self.number}."""\n    return value + {self.number}\n'


@dataclass(frozen=True)
class Spec:
    """A project of stubs. `one_function`: all operations register in one; else each in its tables."""

    name: str
    operations: Sequence[Operation]
    one_function: bool
    modules: Sequence[str] = field(default_factory=list)

    def files(self) -> dict[str, str]:
        names = sorted({operation.module for operation in self.operations})
        files = {f"{name}.py": self._module(name) for name in names}
        files["registry.py"] = self._registry(names)
        files["check.py"] = self._check()
        return files

    def _module(self, name: str) -> str:
        stubs = [operation.stub for operation in self.operations if operation.module == name]
        return f'"""{name}."""\n\n\n' + "\n\n".join(stubs)

    def _registry(self, modules: Sequence[str]) -> str:
        imports = "".join(f"import {name}\n" for name in modules)
        if self.one_function:
            return f"{imports}\n\ndef register_all(registry):\n{END}\n\nREGISTRY = register_all({{}})\n"
        tables = sorted({table for operation in self.operations for table in operation.tables})
        return imports + "".join(f"\n{table} = {{\n}}\n" for table in tables)

    def _check(self) -> str:
        lines = ["import registry", "passed = total = 0"]
        for o in self.operations:
            places = ["registry.REGISTRY"] if self.one_function else [f"registry.{table}" for table in o.tables]
            tests = [f"__import__('{o.module}').{o.name}({n}) == {n + o.number}" for n in (1, 2)]
            tests += [f"{place}['{o.name}'](1) == {1 + o.number}" for place in places]
            lines += [f"total += 1\ntry:\n    passed += {test}\nexcept Exception:\n    pass" for test in tests]
        return "\n".join([*lines, "print(passed, total)"]) + "\n"

    def edits(self, operation: Operation) -> list[tuple[str, str, str]]:
        """File, old and new text."""
        made = [(f"{operation.module}.py", operation.stub, operation.body)]
        if self.one_function:
            line = f'    registry["{operation.name}"] = {operation.module}.{operation.name}\n'
            return [*made, ("registry.py", END, line + END)]
        for table in operation.tables:
            head = f"\n{table} = {{\n"
            made.append(("registry.py", head, f'{head}    "{operation.name}": {operation.module}.{operation.name},\n'))
        return made


def specs() -> list[Spec]:
    one = [Operation(n, f"module_{n % 9}", ()) for n in range(90)]
    names = ["ALPHA", "BETA", "GAMMA", "DELTA"]
    tables = [*([()] * 16), *([(names[n % 4],) for n in range(39)]), *([(names[n], names[n + 1]) for n in range(3)])]
    four = [Operation(n, f"module_{n % 8}", chosen) for n, chosen in enumerate(tables)]
    return [Spec("90 operations, 1 function", one, True), Spec("58 operations, 4 tables", four, False)]


@dataclass(frozen=True)
class Outcome:
    seconds: float
    conflicts: int
    passed: int
    total: int

    @property
    def green(self) -> bool:
        return self.passed == self.total


class Ground:
    """A fresh repository with the stubs of a spec."""

    def __init__(self, folder: Path, spec: Spec) -> None:
        self.root = folder / "project"
        self.env = {**environment(folder), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self.root.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        for name, text in spec.files().items():
            (self.root / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=Stubs")

    def git(self, *args: str, cwd: Path | None = None, ok: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *args], cwd=cwd or self.root, env=self.env, check=ok, capture_output=True, text=True
        )

    def outcome(self, seconds: float, conflicts: int) -> Outcome:
        done = subprocess.run(
            [sys.executable, "check.py"], cwd=self.root, env=self.env, capture_output=True, text=True, check=False
        )
        passed, total = map(int, done.stdout.split()) if done.returncode == 0 else (0, 1)
        return Outcome(seconds, conflicts, passed, total)


def intarsia(kind: str) -> Callable[[Path, Spec, int], Outcome]:
    def run(folder: Path, spec: Spec, agents: int) -> Outcome:
        ground = Ground(folder, spec)
        (ground.root / "intarsia.toml").write_text(f"[workspace]\nkind = '{kind}'\nappend = ['registry.py#*']\n")
        ground.git("add", "intarsia.toml")
        ground.git("commit", "--quiet", "--message=Configure")
        scenario = folder / "scenario.toml"
        scenario.write_text("".join(_script(spec, operation) for operation in spec.operations))
        _add_issues(ground, spec)
        started = time.monotonic()
        done = subprocess.run(
            ["intarsia", "run", "--agents", str(agents), "--agent", f"script: {scenario}", "--json"],
            cwd=ground.root, env=ground.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - started
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr)
        turns = json.loads(_ask(ground, "session", "list", "--limit", "1000", "--json"))["sessions"]
        conflicts = sum(session["turn"] - 1 for session in turns)
        ground.git("reset", "--quiet", "--hard")
        return ground.outcome(seconds, conflicts)

    return run


def _script(spec: Spec, operation: Operation) -> str:
    steps: list[dict[str, Any]] = [{"wait": THINKING}]
    steps += [{"replace": path, "old": old, "new": new} for path, old, new in spec.edits(operation)]
    steps.append({"commit": f"Write {operation.name}"})
    inline = ", ".join("{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in step.items()) + "}" for step in steps)
    return f'[issues."b-{operation.number}"]\nturns = [ {{ steps = [{inline}] }} ]\n'


def _add_issues(ground: Ground, spec: Spec) -> None:
    from intarsia.kernel import Database, issues

    _ask(ground, "issue", "list")
    project = (ground.root / ".intarsia/project").read_text().strip()
    database = Database(f"sqlite://{ground.root / '.intarsia/intarsia.db'}", project)
    with database.transaction() as tx:
        for operation in spec.operations:
            issues.create(tx, issues.Draft(f"Write {operation.name}", id=f"b-{operation.number}"), "bench")
    database.close()


def _ask(ground: Ground, *args: str) -> str:
    return subprocess.run(
        ["intarsia", *args], cwd=ground.root, env=ground.env, check=True, capture_output=True, text=True
    ).stdout


def sequential(folder: Path, spec: Spec, agents: int) -> Outcome:
    ground = Ground(folder, spec)
    started = time.monotonic()
    _work(ground, ground.root, spec, spec.operations)
    return ground.outcome(time.monotonic() - started, 0)


def worktrees(attributes: str = "") -> Callable[[Path, Spec, int], Outcome]:
    """Each agent gets whole modules, as two that share one would only make it worse."""

    def run(folder: Path, spec: Spec, agents: int) -> Outcome:
        ground = Ground(folder, spec)
        if attributes:
            (ground.root / ".git/info/attributes").write_text(attributes)
        modules = sorted({operation.module for operation in spec.operations})
        started = time.monotonic()
        threads = []
        for agent in range(agents):
            place = folder / f"tree-{agent}"
            ground.git("worktree", "add", "--quiet", "-b", f"agent-{agent}", str(place))
            mine = [o for o in spec.operations if modules.index(o.module) % agents == agent]
            threads.append(threading.Thread(target=_work, args=(ground, place, spec, mine)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        conflicts = 0
        for agent in range(agents):
            if ground.git("merge", "--quiet", "--no-edit", f"agent-{agent}", ok=False).returncode:
                conflicts += 1
                ground.git("merge", "--abort")
        return ground.outcome(time.monotonic() - started, conflicts)

    return run


def _work(ground: Ground, tree: Path, spec: Spec, operations: Sequence[Operation]) -> None:
    for operation in operations:
        time.sleep(THINKING)
        for path, old, new in spec.edits(operation):
            text = (tree / path).read_text()
            (tree / path).write_text(text.replace(old, new, 1))
        ground.git("commit", "--quiet", "--all", f"--message=Write {operation.name}", cwd=tree)


WAYS: dict[str, Callable[[Path, Spec, int], Outcome]] = {
    "intarsia, shared tree": intarsia("shared"),
    "intarsia, worktrees": intarsia("worktree"),
    "one after another": sequential,
    "git worktrees, git merge": worktrees(),
    "git worktrees, union merge": worktrees("registry.py merge=union\n"),
}


def measure() -> Iterator[Result]:
    for spec in specs():
        for agents in AGENTS:
            for name, way in WAYS.items():
                yield from _measured(spec, agents, name, way)


def _measured(spec: Spec, agents: int, name: str, way: Callable[[Path, Spec, int], Outcome]) -> Iterator[Result]:
    folder = Path(tempfile.mkdtemp(prefix="intarsia-registry-"))
    try:
        found = way(folder / "ground", spec, agents)
    finally:
        shutil.rmtree(folder)
    ours = name.startswith("intarsia")
    best = len(spec.operations) * THINKING / agents
    label = f"{len(spec.operations)}, {agents} agents, {name}"
    yield Result(f"{label}: wall", found.seconds, "s", ALLOWED * best if ours else None)
    yield Result(f"{label}: conflicts", found.conflicts, "", 0 if ours else None)
    yield Result(f"{label}: tests passed", 100 * found.passed / found.total, "%", 100 if ours else None, at_least=True)


if __name__ == "__main__":
    for result in measure():
        print(f"{result.name:<60} {result.value:8.2f} {result.unit} {'' if result.met else 'MISSED'}", flush=True)
