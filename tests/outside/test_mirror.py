"""A mirror that follows is the one that would be written afresh, however often it was killed on the way."""

from __future__ import annotations

import contextlib
import os
import random
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from intarsia.clock import ManualClock
from intarsia.config import Queue
from intarsia.errors import Conflict, InputError
from intarsia.kernel import Database, Transaction, claims, daily, issues
from intarsia.kernel.issues import Draft
from intarsia.outside import mirror as mirror_module
from intarsia.outside.mirror import STATE, Mirror, Update

QUEUES = {"reviews": Queue(handler="bob", sla=120, escalate_to="default"), "empty": Queue()}


def update(database: Database, place: Path, *, rebuild: bool = False, dry_run: bool = False) -> Update:
    mirror = Mirror(database, place, QUEUES, dry_run=dry_run)
    try:
        return mirror.update(rebuild=rebuild)
    finally:
        mirror.close()


def content(place: Path) -> dict[str, str]:
    return {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def agrees(database: Database, tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Says whether a mirror is what a new one would be."""

    def check(place: Path) -> None:
        fresh = tmp_path / f"fresh-{secrets.token_hex(4)}"
        update(database, fresh)
        assert content(place) == content(fresh)

    yield check


def new(tx: Transaction, id: str, title: str = "Do it", **values: object) -> None:
    issues.create(tx, Draft(title, id=id, **values), "alice")  # type: ignore[arg-type]


def test_a_life_in_a_mirror(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    with database.transaction() as tx:
        new(tx, "a-1", "First", body="Please.\n\nAll of it.", acceptance="It runs.", queue="reviews", sla=120)
        new(tx, "a-2", "Second", needs=["a-1"])
        claims.claim(tx, "a-1", "alice", 60)
        claims.complete(tx, "a-1", "alice", "Done as asked.")
        claims.amend(tx, "a-1", "bob", "But slowly.")
        claims.block(tx, "a-2", "alice", "No power.")
        daily.trigger(tx, "2023-11-14", ["alice", "bob"], "alice")
        daily.write(tx, "2023-11-14", "alice", "Worked.")
    update(database, tmp_path / "m")
    pages = content(tmp_path / "m")
    first = pages["issues/a-1.md"]
    assert first.startswith("# a-1: First\n")
    for part in (
        "| status | closed |",
        "| resolution | completed |",
        "| queue | [reviews](../queues/reviews.md) |",
        "| SLA | due 2023-11-15T00:13:20Z |",
        "## Body\n\n```text\nPlease.\n\nAll of it.\n```",
        "## Acceptance\n\n```text\nIt runs.\n```",
        "- [a-2](a-2.md) waits for it",
        "### Conclusion, 2023-11-14T22:13:20Z, alice\n\n```text\nDone as asked.\n```",
        "### Amendment, 2023-11-14T22:13:20Z, bob\n\n```text\nBut slowly.\n```",
    ):
        assert part in first
    assert "- waits for [a-1](a-1.md)" in pages["issues/a-2.md"]
    assert "issue_blocked, alice\n\n```text\nNo power.\n```" in pages["issues/a-2.md"]
    assert "| handler | bob |\n| SLA | 120 min |\n| escalates to | default |" in pages["queues/reviews.md"]
    assert "| [a-2](../issues/a-2.md) | Second | blocked | P2 |" in pages["queues/default.md"]
    assert "None." in pages["queues/empty.md"]
    assert "- 22:13:20Z issue_claimed [a-1](../issues/a-1.md) by alice" in pages["history/2023-11-14.md"]
    summary = pages["summaries/2023-11-14.md"]
    assert "| turn | bob |" in summary
    assert "## alice: written, 2023-11-14T22:13:20Z\n\n```text\nWorked.\n```" in summary
    assert "## bob: waiting\n" in summary


def test_days_are_in_utc(
    database: Database, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # there it is the next day already
    time.tzset()
    try:
        with database.transaction() as tx:
            new(tx, "a-1")
        update(database, tmp_path / "m")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "history/2023-11-14.md" in content(tmp_path / "m")


def test_only_what_changed_is_written_again(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    place = tmp_path / "m"
    with database.transaction() as tx:
        new(tx, "a-1")
        new(tx, "b-1", queue="reviews")
    update(database, place)
    before = {path: path.stat().st_ino for path in place.rglob("*.*")}
    assert update(database, place).files == []
    assert {path: path.stat().st_ino for path in place.rglob("*.*")} == before
    clock.advance(86_400)
    with database.transaction() as tx:
        issues.close(tx, "a-1", "done", "alice")
    done = update(database, place)
    assert done.files == ["history/2023-11-15.md", "issues/a-1.md", "queues/default.md"]
    assert done.events == 1
    changed = {path.name for path, inode in before.items() if path.exists() and path.stat().st_ino != inode}
    assert changed == {"a-1.md", "default.md", STATE}


def random_change(tx: Transaction, chance: random.Random, ids: list[str]) -> None:
    id = chance.choice(ids) if ids else ""
    match chance.randrange(9 if ids else 1):
        case 0:
            new(
                tx,
                f"x-{len(ids)}",
                chance.choice(["# a", "b | c"]),
                queue=chance.choice(["default", "reviews", "o/dd"]),
            )
        case 1:
            claims.claim(tx, id, "alice", 60)
        case 2:
            claims.complete(tx, id, "alice", "So it is.")
        case 3:
            claims.transfer(tx, id, "alice", chance.choice(["default", "reviews"]), 10)
        case 4:
            kind = chance.choice(["blocks", "parent-child", "related"])
            issues.add_dependency(tx, id, chance.choice(ids), kind, "alice")
        case 5:
            edges = issues.dependencies(tx, id)
            if edges:
                issues.remove_dependency(tx, edges[0]["issue"], edges[0]["target"], "alice")
        case 6:
            claims.escalate(tx, id, "alice", Draft("Who is right?", queue="reviews", sla=30))
        case 7:
            claims.amend(tx, id, "bob", "No.")
        case 8:
            date = daily.day(tx)
            if daily.find(tx, date):
                daily.reset(tx, date, "alice")
            else:
                daily.trigger(tx, date, ["alice"], "alice")


@pytest.mark.parametrize("seed", range(4))
def test_a_mirror_that_follows_is_the_one_written_afresh(
    database: Database,
    clock: ManualClock,
    tmp_path: Path,
    agrees: Callable[[Path], None],
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mirror_module, "BATCH", 3)
    monkeypatch.setattr(mirror_module, "AT_ONCE", 2)
    chance = random.Random(seed)
    for _ in range(12):
        for _ in range(chance.randrange(6)):
            clock.advance(chance.choice([1, 60, 30_000]))
            with contextlib.suppress(Conflict, InputError), database.transaction() as tx:
                random_change(tx, chance, [issue.id for issue in issues.find(tx)])
        update(database, tmp_path / "m")
    agrees(tmp_path / "m")
    update(database, tmp_path / "m", rebuild=True)
    agrees(tmp_path / "m")


def killed_at(point: int, job: Callable[[], None]) -> bool:
    """Run the job in a child that kills itself with -9 before its n-th change of a file; whether it got there."""
    if (child := os.fork()) == 0:
        count = 0

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal count
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_CREAT | os.O_WRONLY)
            if writes or event in ("os.rename", "os.mkdir", "os.remove"):
                count += 1
                if count == point:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            job()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status == -signal.SIGKILL


def test_killed_at_any_point_it_goes_on(
    database: Database, database_url: str, clock: ManualClock, tmp_path: Path, agrees: Callable[[Path], None]
) -> None:
    with database.transaction() as tx:
        new(tx, "a-1")
        new(tx, "a-2", needs=["a-1"])
        daily.trigger(tx, "2023-11-14", ["alice"], "alice")

    def job(place: Path) -> None:
        update(Database(database_url, database.project, clock), place)

    update(database, tmp_path / "whole")
    whole, points = content(tmp_path / "whole"), 0
    for point in range(1, 100):
        here = tmp_path / f"m-{point}"
        if not killed_at(point, partial(job, here)):
            break
        assert all(page == whole[name] for name, page in content(here).items() if name in whole and name != STATE)
        update(database, here)
        assert content(here) == whole
        points += 1
    for point in range(1, 100):
        with database.transaction() as tx:
            claims.amend(tx, "a-1", "bob", f"Again {point}.")
        if not killed_at(point, partial(job, here)):
            break
        update(database, here)
        agrees(here)
        points += 1
    assert points > 20


def test_a_rebuild_that_was_killed_is_begun_again(
    database: Database,
    database_url: str,
    clock: ManualClock,
    tmp_path: Path,
    agrees: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mirror_module, "BATCH", 1)  # so that a page of history is written in several steps
    with database.transaction() as tx:
        new(tx, "a-1")
        new(tx, "a-2")
        new(tx, "a-3")
    update(database, tmp_path / "m")

    def job() -> None:
        update(Database(database_url, database.project, clock), tmp_path / "m", rebuild=True)

    for point in range(1, 100):
        if not killed_at(point, job):
            break
        update(database, tmp_path / "m")
        agrees(tmp_path / "m")
    assert point > 5


def test_what_is_not_ours_is_refused(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        update(database, tmp_path / "full")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / STATE).write_text("{}")
    with pytest.raises(Conflict, match="no mirror"):
        update(database, tmp_path / "odd")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [STATE, "full", "odd", "precious"]
    update(database, tmp_path / "m")
    other = Database(database.url, "another", clock)
    with pytest.raises(Conflict, match="another project"):
        update(other, tmp_path / "m")
    other.close()


def test_one_writes_at_a_time(database: Database, tmp_path: Path) -> None:
    first = Mirror(database, tmp_path / "m", QUEUES)
    with pytest.raises(Conflict, match="Another process"):
        update(database, tmp_path / "m")
    first.close()
    update(database, tmp_path / "m")


def test_links_lead_nowhere(database: Database, tmp_path: Path) -> None:
    place, victim = tmp_path / "m", tmp_path / "victim"
    victim.mkdir()
    with database.transaction() as tx:
        new(tx, "a-1")
    update(database, place)
    (place / "issues" / "a-1.md").unlink()
    (place / "issues" / "a-1.md").symlink_to(victim / "page.md")
    with database.transaction() as tx:
        claims.amend(tx, "a-1", "bob", "Again.")
    update(database, place)
    assert not (place / "issues" / "a-1.md").is_symlink()
    for path in (place / "history").iterdir():
        path.unlink()
    (place / "history").rmdir()
    (place / "history").symlink_to(victim)
    with pytest.raises(Conflict, match="symbolic link"):
        update(database, place)
    assert list(victim.iterdir()) == []


def test_a_page_changed_by_hand_is_put_right_by_a_rebuild(
    database: Database, tmp_path: Path, agrees: Callable[[Path], None]
) -> None:
    place = tmp_path / "m"
    with database.transaction() as tx:
        new(tx, "a-1")
    update(database, place)
    (place / "issues" / "a-1.md").write_text("mine\n")
    (place / "issues" / "gone.md").write_text("of an issue that is no more\n")
    (place / "queues" / "default.md").unlink()
    done = update(database, place, rebuild=True)
    assert done.files == ["issues/a-1.md", "issues/gone.md", "queues/default.md"]
    agrees(place)


def test_history_changed_by_hand_is_noticed(database: Database, tmp_path: Path, agrees: Callable[[Path], None]) -> None:
    with database.transaction() as tx:
        new(tx, "a-1")
    update(database, tmp_path / "m")
    (page,) = (tmp_path / "m" / "history").iterdir()
    page.write_text("mine\n")
    with database.transaction() as tx:
        new(tx, "a-2")
    update(database, tmp_path / "m")
    agrees(tmp_path / "m")


def test_another_database_for_the_same_project_begins_anew(
    database: Database, tmp_path: Path, agrees: Callable[[Path], None]
) -> None:
    with database.transaction() as tx:
        new(tx, "a-1")
    update(database, tmp_path / "m")
    (tmp_path / "m" / "issues" / "b-1.md").write_text("of the database before\n")
    state = (tmp_path / "m" / STATE).read_text()
    (tmp_path / "m" / STATE).write_text(re.sub(r'"cursor": \d+', '"cursor": 1000000000', state))
    update(database, tmp_path / "m")
    agrees(tmp_path / "m")


def test_a_dry_run_tells_and_writes_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "BATCH", 1)
    with database.transaction() as tx:
        new(tx, "a-1")
        new(tx, "a-2")
    told = update(database, tmp_path / "m", dry_run=True).files
    assert not (tmp_path / "m").exists()
    assert update(database, tmp_path / "m").files == told
    with database.transaction() as tx:
        new(tx, "a-3")
        new(tx, "a-4")
    before = content(tmp_path / "m")
    told = update(database, tmp_path / "m", dry_run=True).files
    assert content(tmp_path / "m") == before
    assert update(database, tmp_path / "m").files == told


def test_names_that_lead_elsewhere_stay_inside(database: Database, tmp_path: Path) -> None:
    with database.transaction() as tx:
        new(tx, "a-1", queue="../../outside")
        new(tx, "a-2", queue="# Queue default\n\nforged")
    update(database, tmp_path / "m" / "deep")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["deep"]
    pages = content(tmp_path / "m" / "deep")
    assert "[../../outside](../queues/~2E./" not in pages["issues/a-1.md"]
    assert {name.count("/") for name in pages} <= {0, 1}
    assert all(page.count("\n# ") == 0 for page in pages.values())
