"""What one session has in the shared tree: taken out of it, put back, given up, forgotten."""

from __future__ import annotations

from collections.abc import Callable

from intarsia.kernel.modes import Mode
from intarsia.workspace.appending import needs_between
from intarsia.workspace.joining import Overlap, join
from intarsia.workspace.replacing import Busy, Moved
from intarsia.workspace.shared import TRIES, Asked, Tree
from intarsia.workspace.versions import Intent, Own, name_of


class Portion:
    def __init__(self, tree: Tree, session: str, arbiter: Asked) -> None:
        self._tree = tree
        self._versions = tree.versions
        self._session = session
        self._arbiter = arbiter

    def begin_turn(self) -> None:
        """What there is now is what `take_back(turn=True)` goes back to."""
        with self._versions.change():
            self._versions.begin_turn(self._session)

    def look(self) -> None:
        """Notice what others did, without asking, to the files that the session changed."""
        for row in self._rows():
            with self._tree.alone_with(row.path):
                pass

    def state_of(self, path: str) -> str:
        row = self._versions.own(self._session, path)
        return f"{path} {row.own if row else ''}"

    def take_back(self, *, turn: bool = False) -> list[str]:
        """Undo what the session made (with `turn`: since its turn began); returns the files where that can't be."""
        left = []
        for row in self._rows():
            names = (row.kept_base, row.kept) if turn else (row.base, row.base)
            to_base, to = (self._versions.data(name) for name in names)
            base = self._versions.data(row.base)
            try:
                target = join(row.path, to_base, base, to)
                self._change(row, self._versions.data(row.own), target, (base, target))
            except (Overlap, Busy):
                left.append(row.path)
                self._mark_outside(row.path)
        if turn:
            with self._versions.change():
                self._versions.restart_turn(self._session)
        return left

    def take_out(self) -> list[str]:
        """The session's changes leave the tree for a while; returns the files where they can't."""
        left = []
        for row in self._rows():
            base, own = self._versions.data(row.base), self._versions.data(row.own)
            try:
                self._change(row, own, base, (base, own), out=True)
            except (Overlap, Busy):
                left.append(row.path)
        return left

    def put_in(self) -> None:
        """Hold again all that the session changed, and bring back what was taken out; raises Held, Overlap or Busy."""
        for row in self._rows():
            base, own = self._versions.data(row.base), self._versions.data(row.own)
            if row.changed:
                self._arbiter(needs_between(row.path, base, own, self._tree.appends))
            if row.out:
                self._change(row, base, own, (base, own))

    def give_way(self, path: str, newest: bytes | None) -> bool:
        """Put the branch's newest version in the place of the session's; false if the file has other changes there."""
        row = self._versions.own(self._session, path)
        if row is None:
            return True
        try:
            self._change(row, self._versions.data(row.own), newest, (newest, newest))
        except (Overlap, Busy):
            return False
        return True

    def forget(self) -> None:
        """Nothing of this session is wanted any more; files that hold nobody's work become those of the branch."""
        paths = [row.path for row in self._rows()]
        with self._versions.change():
            self._versions.forget(self._session)
        for path in paths:
            self._converge(path)
        with self._versions.change():
            self._versions.forget_files()

    def needed(self, matters: Callable[[str], bool]) -> dict[str, Mode]:
        """What has to be held for all that the session changed in files that matter."""
        found: dict[str, Mode] = {}
        for row in self._rows():
            if row.changed and matters(row.path):
                base, own = self._versions.data(row.base), self._versions.data(row.own)
                found |= needs_between(row.path, base, own, self._tree.appends)
        return found

    def is_out(self) -> bool:
        """Whether some of it was taken out of the tree and is not back."""
        return any(row.out for row in self._rows())

    def _rows(self) -> list[Own]:
        return self._tree.parts_of(self._session)

    def _change(
        self, row: Own, before: bytes | None, after: bytes | None, own: tuple[bytes | None, bytes | None],
        *, out: bool = False,
    ) -> None:  # fmt: skip
        """Make the step from `before` to `after` in the file, wherever it stands; then `own` is the session's part."""
        for _ in range(TRIES):
            with self._tree.alone_as(self._session), self._tree.alone_with(row.path) as disk:
                result = join(row.path, before, disk, after)
                try:
                    return self._put(row.path, disk, result, own, out=out)
                except Moved:
                    continue
        raise Busy(f"{row.path} is changed by others again and again.")

    def _put(
        self, path: str, disk: bytes | None, result: bytes | None, own: tuple[bytes | None, bytes | None], *, out: bool
    ) -> None:
        with self._versions.change():
            base_name, own_name = (self._versions.keep(part) for part in own)
            before, after = name_of(disk), self._versions.keep(result)
            spare = str(self._tree.spare(path))
            intent = Intent(path, self._session, spare, before, after, None, base_name, own_name, int(out))
            if result == disk:
                self._versions.set_seen(self._session, path, None)
                self._versions.set_own(self._session, path, base_name, own_name, out=out)
                return
            self._versions.intend(intent)
        file = self._versions.file(path)
        self._tree.put(intent, disk, result, outside=file is not None and file.outside)

    def _mark_outside(self, path: str) -> None:
        with self._versions.change():
            self._versions.set_outside(path, True)

    def _converge(self, path: str) -> None:
        """Nobody's work is in the file any more, so it differs from the branch at most in the order of what landed."""
        with self._tree.alone_with(path) as disk:
            committed = self._tree.committed(path, disk)
            file = self._versions.file(path)
            if disk == committed:
                with self._versions.change():
                    self._versions.set_outside(path, False)
            if disk == committed or file is None or file.outside or self._versions.owners(path):
                return
            with self._versions.change():
                before, after = name_of(disk), self._versions.keep(committed)
                intent = Intent(path, self._session, str(self._tree.spare(path)), before, after, None, None, None)
                self._versions.intend(intent)
            try:
                self._tree.put(intent, disk, committed, outside=False)
            except Moved:
                return  # somebody writes it at this moment, so it is theirs
