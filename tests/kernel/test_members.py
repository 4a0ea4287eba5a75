from __future__ import annotations

from typing import Any

import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Conflict, InputError, NotFound
from intarsia.kernel import Database, events, members
from tests.support.dump import dump


def join(database: Database, name: str, secret: str = "s3cret") -> members.Member:
    with database.transaction() as tx:
        return members.join(tx, name, secret)


def is_known(database: Database, name: str, secret: str) -> bool:
    try:
        with database.read() as tx:
            return members.authenticate(tx, name, secret).name == name
    except NotFound:
        return False


def test_who_has_the_secret_is_the_member(database: Database) -> None:
    join(database, "alice", "a")
    join(database, "bob", "b")
    assert is_known(database, "alice", "a")
    assert is_known(database, "bob", "b")


@pytest.mark.parametrize("secret", ["", "A", "a ", "b", "\udcff", "a" * 100_000])
def test_any_other_secret_is_nobodys(database: Database, secret: str) -> None:
    join(database, "alice", "a")
    join(database, "bob", "b")
    assert not is_known(database, "alice", secret)
    assert not is_known(database, "carol", secret)
    assert not is_known(database, "", secret)


def test_a_stranger_and_a_wrong_secret_look_the_same(database: Database) -> None:
    join(database, "alice", "a")
    said = []
    for name in ("alice", "carol"):
        with pytest.raises(NotFound) as refused, database.read() as tx:
            members.authenticate(tx, name, "wrong")
        said.append(refused.value.as_json())
    assert said[0] == said[1]


def test_a_name_is_given_once_in_a_project(database: Database) -> None:
    join(database, "alice", "a")
    before = dump(database)
    with pytest.raises(Conflict, match="alice has joined already"):
        join(database, "alice", "other")
    assert dump(database) == before
    assert is_known(database, "alice", "a")
    other = Database(database.url, f"{database.project}-other")
    assert not is_known(other, "alice", "a")
    join(other, "alice", "other")
    assert not is_known(database, "alice", "other")
    other.close()


@pytest.mark.parametrize("name", ["a", "Z", "claude-2", "a.b_c-d", "a" * 40, "s-notahexid"])
def test_good_names(database: Database, name: str) -> None:
    assert join(database, name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "a b", "1a", "-a", ".a", "a/b", "../a", "a\n", "a\x00", "ä", "a" * 41,
        "@team", "person:me", "s-0a1b2c3d", "guardian", "Guardian", "intarsia",
    ],
)  # fmt: skip
def test_names_that_could_pass_for_something_else_are_refused(database: Database, name: str) -> None:
    with pytest.raises(InputError, match="can't be an agent's name"):
        join(database, name)
    with database.read() as tx:
        assert members.everybody(tx) == []


def test_only_a_hash_of_the_secret_is_stored(database: Database) -> None:
    join(database, "alice", "s3cret-of-alice")
    assert "s3cret-of-alice" not in str(dump(database))
    with database.read() as tx:
        (joined,) = events.latest(tx, 10)
    assert (joined.kind, joined.actor, joined.data) == ("agent_joined", "alice", {"agent": "alice"})


def test_everybody_and_when_they_were_seen(database: Database, clock: ManualClock) -> None:
    join(database, "bob")
    clock.advance(60)
    join(database, "alice")
    with database.transaction() as tx:
        members.touch(tx, "bob")
        members.touch(tx, "nobody")
    with database.read() as tx:
        found: list[dict[str, Any]] = [member.as_json() for member in members.everybody(tx)]
    assert found == [
        {"name": "alice", "joined": "2023-11-14T22:14:20Z", "seen": "2023-11-14T22:14:20Z"},
        {"name": "bob", "joined": "2023-11-14T22:13:20Z", "seen": "2023-11-14T22:14:20Z"},
    ]
