"""One working tree that many sessions edit at the same time, in the same files.

The files on disk are the truth. Each change says what the session saw and what it wants; what others did meanwhile is
kept by a three-way merge, and the file is replaced whole. Beside the tree it is remembered, per session and file, what
the session made of the branch's version, without what others have in there: that is what it commits.

    .intarsia/shared.db             see versions.py
    .intarsia/shared/locks/         one of them is held for the milliseconds of a write
    .intarsia/shared/spare/         a file's next content, until it takes its place
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from intarsia.code.touched import Change
from intarsia.errors import InputError
from intarsia.kernel.modes import Mode
from intarsia.workspace import adopting, replacing
from intarsia.workspace.appending import add_to, needs_of
from intarsia.workspace.edits import Edit, Proposal, changes_of
from intarsia.workspace.joining import Overlap, graft, join, packed_shape, remind, shape_like
from intarsia.workspace.mutex import alone
from intarsia.workspace.replacing import Busy, Moved
from intarsia.workspace.repository import STATE
from intarsia.workspace.versions import ABSENT, Intent, Own, Versions, name_of

TRIES = 30
"""How often a program that asks nobody may be quicker before an edit is given up."""

Needs = Mapping[str, Mode]
Committed = Callable[[str, bytes | None], bytes | None]
"""The branch's version of a file; with what it probably is, which spares reading it."""
Asked = Callable[[Needs], str]
"""Takes leases: returns what the session should know, raises where it may not go on."""


@dataclass(frozen=True)
class Adopted:
    """A change that no session asked for: of `symbols` in `path`."""

    path: str
    symbols: list[str]


@dataclass(frozen=True)
class Tree:
    """The working tree at `root`, its memory, the branch's version of a file, and who is told of foreign changes.

    `appends`: patterns of the symbols that all may add to, see appending.py.
    """

    root: Path
    state: Path
    versions: Versions
    committed: Committed
    adopted: Callable[[Adopted], None]
    appends: Sequence[str] = ()

    @classmethod
    def of(
        cls, root: Path, committed: Committed, adopted: Callable[[Adopted], None], appends: Sequence[str] = ()
    ) -> Tree:
        state = root / STATE
        (state / "shared" / "spare").mkdir(parents=True, exist_ok=True)
        return cls(root, state, Versions(state), committed, adopted, appends)

    def path(self, name: str | Path, here: Path | None = None) -> str:
        """The name of a file from the root, links resolved; raises InputError for what is not the project's."""
        real_root = Path(os.path.realpath(self.root))
        real = Path(os.path.realpath((here or self.root) / name))
        if real_root not in real.parents:
            raise InputError(f"{name} lies outside of {self.root}.")
        path = real.relative_to(real_root)
        if path.parts[0] in (".git", STATE):
            raise InputError(f"{name} is not a file of the project.")
        if real.is_dir():
            raise InputError(f"{name} is a directory.")
        return path.as_posix()

    def spare(self, path: str) -> Path:
        """Where the next content of a file waits: beside it only where the state lies on another disk."""
        place = self.state / "shared" / "spare" / name_of(os.fsencode(path))
        folder = self.root / path
        while not folder.is_dir():
            folder = folder.parent
        if folder.stat().st_dev == place.parent.stat().st_dev:
            return place
        return (self.root / path).with_name(f".{Path(path).name}.intarsia")

    @contextmanager
    def alone_with(self, path: str) -> Iterator[bytes | None]:
        """Nobody of ours changes the file meanwhile; its content, after what was broken off before is settled."""
        with alone(self.state / "shared" / "locks", f"file {path}"):
            yield adopting.settle(self, path)

    @contextmanager
    def alone_as(self, session: str) -> Iterator[None]:
        """The session does nothing else meanwhile."""
        with alone(self.state / "shared" / "sessions", session):
            yield

    def parts_of(self, session: str) -> list[Own]:
        """All that a session made, after what a killed process of it began is settled."""
        for path in self.versions.begun(session):
            with self.alone_with(path):
                pass
        return self.versions.all_own(session)

    def version(self, path: str, name: str) -> bytes | None:
        """A content of a file that is kept, and with it what is known of its symbols."""
        data = self.versions.data(name)
        remind(path, data, lambda: self.versions.outline(name))
        return data

    def remind(self, path: str, data: bytes | None) -> None:
        """Have what is known of the symbols of a content, if it is one that is kept."""
        remind(path, data, lambda: self.versions.outline(name_of(data)))

    def keep(self, path: str, data: bytes | None) -> str:
        """Inside of a change that also names it."""
        return self.versions.keep(data, packed_shape(path, data))

    def put(
        self, intent: Intent, expected: bytes | None, wanted: bytes | None, *, outside: bool, whole: bool | None = None
    ) -> None:
        """Do what was noted as an intent before: killed at any point, it is done or not. Raises Moved."""
        try:
            replacing.replace(self.root / intent.path, expected, wanted, Path(intent.spare))
        except Moved:
            with self.versions.change():
                self.versions.drop_intent(intent)
            raise
        adopting.finish(self, intent, wanted, outside=outside, whole=whole)


@dataclass(frozen=True)
class Done:
    """A change that was made: `changes` of the session, `content` as the file is now, `merged` with others' changes.

    `advice`: what the session should know of others.
    """

    path: str
    changes: list[Change]
    content: bytes | None
    merged: bool
    advice: str = ""


@dataclass(frozen=True)
class Plan:
    """What an edit comes to on a file as it was found."""

    disk: bytes | None
    proposal: Proposal
    changes: list[Change]
    needs: Needs


class Shared:
    """The tree as one session works in it. `arbiter` is asked for leases: it raises when they are not to be had."""

    def __init__(self, tree: Tree, session: str, arbiter: Asked) -> None:
        self.tree = tree
        self.session = session
        self._versions = tree.versions
        self._arbiter = arbiter

    def read(self, path: str) -> bytes | None:
        """The file as it is now; that the session has seen this is remembered."""
        with self.tree.alone_with(path) as disk, self._versions.change():
            self._versions.set_seen(self.session, path, self._versions.keep(disk))
        return disk

    def apply(self, path: str, edit: Edit) -> Done:
        """Make a change; raises Overlap, Busy, InputError, or what the arbiter raises, having changed nothing."""
        granted: dict[str, Mode] = {}
        advice = ""
        for _ in range(TRIES):
            plan = self._plan(path, edit, replacing.read(self.tree.root / path))
            if lacking := _lacking(plan, granted):
                advice = self._arbiter(lacking) or advice
                granted |= lacking
            try:
                return replace(self._carry_out(path, edit, plan, granted), advice=advice)
            except Moved:
                continue
        raise Busy(f"{path} is changed by others again and again.", hint="Try again.")

    def _plan(self, path: str, edit: Edit, disk: bytes | None) -> Plan:
        seen = self._versions.seen(self.session, path)
        proposal = edit.propose(path, disk, None if seen is None else (self.tree.version(path, seen),))
        changes = changes_of(path, proposal, self._last_good(path, proposal.base))
        return Plan(disk, proposal, changes, needs_of(path, proposal, changes, self.tree.appends))

    def _last_good(self, path: str, base: bytes | None) -> bytes | None:
        """The version without errors that the base came from, if it is the file as it is known, and broken."""
        file = self._versions.file(path)
        if file is None or base is None or file.known != name_of(base) or file.good in (ABSENT, file.known):
            return None
        return self._versions.data(file.good)

    def _carry_out(self, path: str, edit: Edit, plan: Plan, granted: Needs) -> Done:
        with self.tree.alone_as(self.session):
            own = self._own_part(path, plan)
            with self.tree.alone_with(path) as disk:
                if disk != plan.disk and plan.proposal.follows_disk:
                    plan = self._plan(path, edit, disk)
                    if _lacking(plan, granted):
                        raise Moved(path)
                    own = self._own_part(path, plan)
                self.tree.remind(path, disk)
                result = self._joined(path, plan, disk)
                self._write(path, plan.proposal, own, disk, result)
        return Done(path, plan.changes, result, result != plan.proposal.wanted)

    def _own_part(self, path: str, plan: Plan) -> tuple[bytes | None, bytes | None]:
        """What the session made of the branch's version, and that version: the change without what others have there.

        Where that can't be told apart line by line, the units that it holds are its own as they stand.
        """
        base, own = self._own_so_far(path, plan.disk)
        try:
            return base, self._joined(path, plan, own)
        except Overlap:
            newest = self.tree.committed(path, plan.disk)
            base, own = newest, join(path, base, newest, own)
        try:
            return base, self._joined(path, plan, own)
        except Overlap as overlap:
            keys = [change.key for change in plan.changes]
            grafted = graft(path, own, plan.proposal.wanted, keys) if self._are_ours(path, plan, keys) else None
            if grafted is None:
                raise overlap
            return base, grafted

    @staticmethod
    def _joined(path: str, plan: Plan, other: bytes | None) -> bytes | None:
        """Another version with the proposal in it; raises Overlap. Where all may add, the order does not matter."""
        base, wanted = plan.proposal.base, plan.proposal.wanted
        if other not in (base, wanted) and set(plan.needs.values()) == {"append"}:
            added = add_to(path, other, plan.proposal, [change.key for change in plan.changes])
            if added is not None:
                return added
        return join(path, base, other, wanted)

    def _are_ours(self, path: str, plan: Plan, keys: list[str]) -> bool:
        """Whether no other session has a part in these symbols: none may add to them, or had them while we did not."""
        if "append" in plan.needs.values():
            return False
        for other in self._versions.owners(path):
            row = self._versions.own(other, path)
            if other != self.session and row is not None:
                base, own = self._versions.data(row.base), self._versions.data(row.own)
                theirs = changes_of(path, Proposal(base, own, None, follows_disk=False), None)
                if {change.key for change in theirs} & {*keys, ""}:
                    return False
        return True

    def _own_so_far(self, path: str, disk: bytes | None) -> tuple[bytes | None, bytes | None]:
        row = self._versions.own(self.session, path)
        if row is None:
            committed = self.tree.committed(path, disk)
            return committed, committed
        return self._versions.data(row.base), self.tree.version(path, row.own)

    def _write(
        self, path: str, proposal: Proposal, own: tuple[bytes | None, bytes | None],
        disk: bytes | None, result: bytes | None,
    ) -> None:  # fmt: skip
        if proposal.base is not None and proposal.wanted is not None:
            shape_like(path, proposal.wanted, proposal.base)  # while that is quick
        with self._versions.change():
            base_name, own_name = (self.tree.keep(path, part) for part in own)
            believed = proposal.believed
            intent = Intent(
                path=path,
                session=self.session,
                spare=str(self.tree.spare(path)),
                before=name_of(disk),
                after=self.tree.keep(path, result),
                seen=None if believed is None else self.tree.keep(path, believed[0]),
                base=base_name,
                own=own_name,
            )
            if result == disk:
                adopting.credit(self._versions, intent)
                return
            self._versions.intend(intent)
        file = self._versions.file(path)
        # A merge of two versions without errors has none.
        merged = result != proposal.wanted and file is not None and file.good == file.known
        whole = True if merged and adopting.is_whole(path, proposal.wanted) else None
        self.tree.put(intent, disk, result, outside=file is not None and file.outside, whole=whole)

    def move(self, path: str, to: str) -> list[Done]:
        """Rename a file: it is deleted at one place and made at the other, each under its lease."""
        from intarsia.workspace.edits import Delete, Write

        with self.tree.alone_with(path) as disk:
            if disk is None:
                raise InputError(f"There is no file {path}.")
        if (self.tree.root / to).exists():
            raise InputError(f"{to} is there already.")
        whole: Needs = {f"code:{path}": "exclusive", f"code:{to}": "exclusive"}
        self._arbiter(whole)
        made = self.apply(to, Write(disk))
        (self.tree.root / to).chmod((self.tree.root / path).stat().st_mode & 0o7777)
        return [made, self.apply(path, Delete())]


def _lacking(plan: Plan, granted: Needs) -> dict[str, Mode]:
    return {name: mode for name, mode in plan.needs.items() if granted.get(name) != mode}
