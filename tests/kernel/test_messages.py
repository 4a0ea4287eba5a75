from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Conflict, InputError, IntarsiaError, NotFound
from intarsia.kernel import Database, events, issues, leases, members, messages, sessions
from intarsia.kernel.issues import Draft
from intarsia.kernel.messages import Message, NothingCame
from tests.support.dump import dump

LONG = 60.0


@pytest.fixture
def team(database: Database) -> Database:
    join(database, "alice", "bob", "carol")
    return database


def join(database: Database, *names: str) -> None:
    with database.transaction() as tx:
        for name in names:
            members.join(tx, name, name)


def start_session(database: Database) -> str:
    with database.transaction() as tx:
        issues.create(tx, Draft("work"), "test")
        started = sessions.start(tx, run="r", agent="a", driver="script", supervisor="s", secret="x", ttl=60)
        assert started
        return started[0].id


def send(
    database: Database,
    sender: str,
    to: str | Sequence[str],
    body: str = "hello",
    kind: str = "note",
    reply_to: int | None = None,
) -> Message:
    with database.transaction() as tx:
        return messages.send(tx, sender, [to] if isinstance(to, str) else to, body, kind, reply_to)


def inbox(database: Database, reader: str, limit: int = 100) -> list[str]:
    with database.read() as tx:
        return [message.body for message in messages.inbox(tx, reader, limit)]


def show(database: Database, reader: str, limit: int = 100) -> None:
    with database.transaction() as tx:
        messages.shown(tx, reader, messages.inbox(tx, reader, limit))


def ack(database: Database, reader: str, up_to: int | None = None) -> tuple[int, int]:
    with database.transaction() as tx:
        return messages.ack(tx, reader, up_to)


# Who gets what.


def test_a_message_carries_what_was_said_by_whom_to_whom_and_when(team: Database, clock: ManualClock) -> None:
    sent = send(team, "alice", ["bob", "carol", "bob"], "look", kind="question")
    with team.read() as tx:
        (got,) = messages.inbox(tx, "bob", 10)
    assert got == sent
    assert got.as_json() == {
        "id": sent.id,
        "time": "2023-11-14T22:13:20Z",
        "from": "alice",
        "to": ["bob", "carol"],
        "kind": "question",
        "body": "look",
        "reply_to": None,
        "thread": sent.id,
    }


def test_only_recipients_get_it_in_the_order_it_was_sent(team: Database) -> None:
    for number in range(5):
        send(team, "alice", "bob" if number % 2 else ["carol", "bob"], f"{number}")
    assert inbox(team, "bob") == ["0", "1", "2", "3", "4"]
    assert inbox(team, "bob", limit=2) == ["0", "1"]
    assert inbox(team, "carol") == ["0", "2", "4"]
    assert inbox(team, "alice") == []


def test_another_project_gets_nothing(team: Database) -> None:
    other = Database(team.url, f"{team.project}-other")
    join(other, "alice", "bob")
    sent = send(team, "alice", "bob")
    assert inbox(other, "bob") == []
    with pytest.raises(NotFound), other.transaction() as tx:
        messages.get(tx, "bob", sent.id)
    other.close()


def test_the_team_is_every_member_of_that_moment_but_the_sender(team: Database) -> None:
    sent = send(team, "alice", "@team", "all hands")
    join(team, "dave")
    assert sent.to == ["@team"]
    assert {name: inbox(team, name) for name in ("alice", "bob", "carol", "dave")} == {
        "alice": [],
        "bob": ["all hands"],
        "carol": ["all hands"],
        "dave": [],
    }


def test_a_team_of_one_reaches_nobody(database: Database) -> None:
    join(database, "alice")
    with pytest.raises(Conflict, match="Nobody but you"):
        send(database, "alice", "@team")
    assert send(database, "alice", ["@team", "@human"]).to == ["@team", "@human"]


def test_people_read_what_is_sent_to_humans_each_on_their_own(team: Database) -> None:
    first = send(team, "alice", "@human", "may I?")
    assert inbox(team, "person:ann") == inbox(team, "person:ben") == ["may I?"]
    assert inbox(team, "bob") == []
    ack(team, "person:ann", first.id)
    assert (inbox(team, "person:ann"), inbox(team, "person:ben")) == ([], ["may I?"])
    send(team, "person:ann", ["@human", "alice"], "yes", reply_to=first.id)
    assert (inbox(team, "person:ann"), inbox(team, "person:ben")) == ([], ["may I?", "yes"])
    assert inbox(team, "alice") == ["yes"]


def test_sessions_write_and_read_until_they_end(team: Database) -> None:
    session = start_session(team)
    question = send(team, session, "bob", "which one?")
    send(team, "bob", session, "the first", reply_to=question.id)
    assert (inbox(team, "bob"), inbox(team, session)) == (["which one?"], ["the first"])
    with team.transaction() as tx:
        sessions.end(tx, sessions.get(tx, session), "done")
    with pytest.raises(Conflict, match=f"{session} has ended"):
        send(team, "bob", session)


@pytest.mark.parametrize(
    ("to", "error", "said"),
    [
        ([], InputError, "needs a recipient"),
        ("dave", NotFound, "named dave"),
        (["bob", "dave", "eve"], NotFound, "named dave, eve"),
        ("@everybody", NotFound, "@everybody"),
        ("person:ann", NotFound, "person:ann"),
        ("s-00000000", NotFound, "s-00000000"),
        ("", NotFound, "named"),
        (["bob", "alice"], InputError, "alice is yourself"),
    ],
)
def test_bad_recipients_are_refused_by_name_and_nobody_gets_it(
    team: Database, to: str | list[str], error: type[IntarsiaError], said: str
) -> None:
    before = dump(team)
    with pytest.raises(error, match=said):
        send(team, "alice", to)
    assert dump(team) == before


@pytest.mark.parametrize(
    ("body", "kind"), [("", "note"), (" \n", "note"), ("a\x00b", "note"), ("a", ""), ("a", "No"), ("a", "x" * 41)]
)
def test_bad_texts_and_kinds_are_refused(team: Database, body: str, kind: str) -> None:
    with pytest.raises(InputError):
        send(team, "alice", "bob", body, kind)


def test_a_text_comes_back_as_it_was_sent(team: Database) -> None:
    text = "  ✓ 'quoted' :now %s {x}\n\n## heading\r\n"
    send(team, "alice", "bob", text)
    assert inbox(team, "bob") == [text]


def test_sending_is_recorded(team: Database) -> None:
    sent = send(team, "alice", ["bob", "@human"], kind="notice")
    with team.read() as tx:
        (event,) = [event for event in events.everything(tx) if event.kind == "message_sent"]
    assert event.actor == "alice"
    assert event.data == {"message": sent.id, "to": ["bob", "@human"], "message_kind": "notice"}


# Threads.


def test_replies_inherit_the_thread(team: Database) -> None:
    first = send(team, "alice", "bob", "1")
    second = send(team, "bob", "alice", "2", reply_to=first.id)
    third = send(team, "alice", "bob", "3", reply_to=second.id)
    apart = send(team, "alice", "bob", "other")
    assert (second.reply_to, third.reply_to) == (first.id, second.id)
    assert [m.thread for m in (first, second, third, apart)] == [first.id, first.id, first.id, apart.id]
    with team.read() as tx:
        assert [m.body for m in messages.thread(tx, "bob", third.id, 10)] == ["1", "2", "3"]
        assert [m.body for m in messages.thread(tx, "alice", first.id, 2)] == ["2", "3"]


def test_a_reply_that_names_nobody_goes_to_whom_it_answers(team: Database) -> None:
    asked = send(team, "alice", "@team", "?")
    assert send(team, "bob", [], "!", reply_to=asked.id).to == ["alice"]
    assert send(team, "alice", [], "also", reply_to=asked.id).to == ["@team"]
    guidance = send(team, "person:ann", "alice", "stop")
    assert send(team, "alice", [], "stopped", reply_to=guidance.id).to == ["@human"]
    assert inbox(team, "person:ann") == ["stopped"]


def test_what_one_neither_wrote_nor_got_is_as_if_it_did_not_exist(team: Database) -> None:
    secret = send(team, "alice", "bob", "between us")
    with pytest.raises(NotFound):
        send(team, "carol", "alice", "about that", reply_to=secret.id)
    answer = send(team, "bob", ["alice", "carol"], "no longer", reply_to=secret.id)
    with team.read() as tx:
        assert [m.body for m in messages.thread(tx, "carol", answer.id, 10)] == ["no longer"]
        with pytest.raises(NotFound):
            messages.thread(tx, "carol", secret.id, 10)


# Cursors.


def test_acknowledged_messages_leave_the_inbox_up_to_the_one_named(team: Database) -> None:
    sent = [send(team, "alice", "bob", f"{n}") for n in range(4)]
    assert ack(team, "bob", sent[1].id) == (sent[1].id, 2)
    assert inbox(team, "bob") == ["2", "3"]
    assert ack(team, "bob", sent[3].id) == (sent[3].id, 2)
    assert inbox(team, "bob") == []
    with team.read() as tx:
        assert [m.body for m in messages.received(tx, "bob", 3)] == ["1", "2", "3"]


def test_a_cursor_never_goes_back(team: Database) -> None:
    first, second = send(team, "alice", "bob", "1"), send(team, "alice", "bob", "2")
    ack(team, "bob", second.id)
    for again in (first.id, second.id):
        with pytest.raises(Conflict, match="already"):
            ack(team, "bob", again)
    assert inbox(team, "bob") == []


@pytest.mark.parametrize("which", ["mine", "others", "later", "zero", "negative", "huge"])
def test_what_one_never_got_can_not_be_acknowledged(team: Database, which: str) -> None:
    got = send(team, "alice", "bob")
    ids = {
        "mine": send(team, "bob", "alice").id,
        "others": send(team, "alice", "carol").id,
        "later": got.id + 1_000_000,
        "zero": 0,
        "negative": -1,
        "huge": 2**70,
    }
    with pytest.raises(InputError):
        ack(team, "bob", ids[which])
    assert len(inbox(team, "bob")) == 1


def test_without_an_id_only_what_was_shown_is_acknowledged(team: Database) -> None:
    for number in range(3):
        send(team, "alice", "bob", f"{number}")
    with pytest.raises(Conflict, match="nothing new was shown") as refused:
        ack(team, "bob")
    assert "3 wait" in refused.value.hint
    show(team, "bob", limit=2)
    send(team, "alice", "bob", "late")
    assert ack(team, "bob")[1] == 2
    assert inbox(team, "bob") == ["2", "late"]
    with pytest.raises(Conflict):
        ack(team, "bob")


def test_every_message_arrives_once_and_in_order_while_many_send(team: Database) -> None:
    senders, each = ["alice", "carol", "dave", "eve"], 15
    join(team, "dave", "eve")

    def send_all(sender: str) -> None:
        own = Database(team.url, team.project)
        for number in range(each):
            send(own, sender, "bob", f"{sender} {number}")
        own.close()

    got: list[Message] = []
    with ThreadPoolExecutor(len(senders)) as pool:
        work = [pool.submit(send_all, sender) for sender in senders]
        while len(got) < len(senders) * each:
            found = messages.wait(team, "bob", LONG, 7)
            ack(team, "bob", found[-1].id)
            got += found
        for done in work:
            done.result()
    assert [m.id for m in got] == sorted({m.id for m in got})
    for sender in senders:
        assert [m.body for m in got if m.sender == sender] == [f"{sender} {number}" for number in range(each)]
    assert inbox(team, "bob") == []


# Waiting.


class Watched(Database):
    """Tells when somebody has looked, found nothing and waits."""

    def __init__(self, url: str, project: str) -> None:
        super().__init__(url, project)
        self.waits = threading.Event()

    def wait_for_change(self, seen: object, seconds: float) -> None:
        self.waits.set()
        super().wait_for_change(seen, seconds)


@contextmanager
def waiting(database: Database, reader: str) -> Iterator[tuple[Watched, Future[list[Message]]]]:
    """Somebody who waits on a connection of its own."""
    own = Watched(database.url, database.project)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(messages.wait, own, reader, 4 * LONG, 10)
        assert own.waits.wait(LONG)
        yield own, future
    own.close()


def test_what_is_there_already_is_not_waited_for(team: Database) -> None:
    send(team, "alice", "bob")
    assert [m.body for m in messages.wait(team, "bob", 0, 10)] == ["hello"]


@pytest.mark.parametrize("same_process", [False, True])
def test_a_waiter_wakes_when_a_message_comes(
    team: Database, monkeypatch: pytest.MonkeyPatch, same_process: bool
) -> None:
    monkeypatch.setattr(messages, "RECHECK", 4 * LONG)  # so that only the wake-up can be in time
    with waiting(team, "bob") as (own, future):
        send(own if same_process else team, "alice", "bob", "wake up")
        assert [m.body for m in future.result(LONG)] == ["wake up"]


def test_a_waiter_sleeps_through_what_is_for_others_or_by_itself(team: Database) -> None:
    with waiting(team, "bob") as (_, future):
        send(team, "alice", ["carol", "@human"], "not for bob")
        send(team, "bob", "@team", "by bob")
        send(team, "alice", "bob", "for bob")
        assert [m.body for m in future.result(LONG)] == ["for bob"]


def test_waiting_ends_when_nothing_comes(team: Database) -> None:
    send(team, "bob", "@team", "nobody is woken by itself")
    start = time.monotonic()
    with pytest.raises(NothingCame) as over:
        messages.wait(team, "bob", 0.2, 10)
    assert time.monotonic() - start >= 0.2
    assert over.value.exit_code == 1


@pytest.mark.parametrize("seconds", [-1, 86_401, float("nan"), float("inf")])
def test_a_bad_time_to_wait_is_refused(team: Database, seconds: float) -> None:
    with pytest.raises(InputError):
        messages.wait(team, "bob", seconds, 10)


def test_a_release_notifies_nobody_if_nobody_waits_and_a_message_always_does(postgres_url: str) -> None:
    """Notifications make the commits of a whole PostgreSQL server take turns."""
    name = secrets.token_hex(4)
    database = Database(postgres_url, name)
    join(database, "alice", "bob")

    def mark(what: str) -> None:
        other = Database(postgres_url, f"{name} {what}")
        with other.transaction() as tx:
            tx.announce()
        other.close()

    with psycopg.connect(postgres_url, autocommit=True) as listener:
        listener.execute("LISTEN intarsia")
        with database.transaction() as tx:
            leases.acquire(tx, "alice", "issue:1", 60)
            leases.release(tx, "alice", "issue:1")
        mark("released")
        send(database, "alice", "bob")
        mark("sent")
        heard = [notice.payload for notice in listener.notifies(timeout=LONG, stop_after=3)]
    database.close()
    assert heard == [f"{name} released", name, f"{name} sent"]
