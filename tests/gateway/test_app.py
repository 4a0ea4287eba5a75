"""The endpoints: who may ask, what is answered, and that every no is JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from intarsia.gateway.limits import LIMIT
from intarsia.gateway.operation import Site
from intarsia.kernel import issues, sessions
from tests.gateway.conftest import SECRETS, Http

CODE = "code:src/a.py"


def test_holding_and_giving_back(each_http: Http) -> None:
    http = each_http
    held = http.ok("leases/acquire", resources=[CODE], note="rewriting")
    assert (held["holder"], held["mode"], held["resources"]) == ("alice", "exclusive", [CODE])
    status, refused = http.post("leases/acquire", "bob", resources=[f"{CODE}#f"])
    assert (status, refused["ok"], refused["code"], refused["holder"]) == (409, False, "held", "alice")
    checked = http.ok("leases/check", "bob", resource=CODE)
    assert (checked["free"], [one["session"] for one in checked["holders"]]) == (False, ["alice"])
    assert [one["note"] for one in http.ok("leases/list", "bob")["leases"]] == ["rewriting"]
    assert http.post("leases/release", "bob", resources=[CODE])[1]["code"] == "not_holder"
    assert http.ok("leases/heartbeat", ttl=60)["renewed"] == [CODE]
    assert http.ok("leases/release", all=True)["released"] == [CODE]
    assert http.ok("leases/wait", "bob", resources=[CODE])["free"] is True
    assert http.post("leases/release", all=True)[1]["code"] == "not_holder"
    assert http.post("leases/release")[0] == 422


def test_messages_and_words(each_http: Http) -> None:
    http = each_http
    sent = http.ok("messages/send", to=["bob"], body="the schema has moved")["message"]
    assert (sent["from"], sent["to"]) == ("alice", ["bob"])
    found = http.ok("messages/wait", "bob", timeout=5)
    assert ([one["body"] for one in found["messages"]], found["unread"]) == (["the schema has moved"], 1)
    assert http.ok("messages/ack", "bob")["unread"] == 0
    assert http.post("messages/wait", "bob", timeout=0)[1]["code"] == "nothing_came"
    assert http.ok("status", text="reading the parser")["agent"] == "alice"
    assert http.watcher.said == [("alice", "reading the parser")]
    assert http.ok("note", about="parser", text="it is recursive")["about"] == "parser"
    assert http.post("resolve", kind="no_change", rationale="it is there")[1]["code"] == "not_ready"
    assert http.post("files/read", path="README.md")[1]["code"] == "not_ready"


def test_who_has_no_secret_gets_nothing(http: Http) -> None:
    for me in ("", "c" * 64, " ", SECRETS["alice"][:-1], SECRETS["alice"] + "a"):
        status, answer = http.post("leases/list", me)
        assert (status, answer["code"]) == (401, "unauthorized")
        assert me.strip() == "" or me not in json.dumps(answer)


def test_nobody_says_who_they_are(http: Http) -> None:
    """Also not beside a secret of their own, and not in an address."""
    assert http.post("leases/acquire", "bob", resources=[CODE], holder="alice")[0] == 400
    response = http.client.post(f"/v1/leases/list?secret={SECRETS['alice']}", json={})
    assert response.status_code == 401


def test_a_session_that_has_ended_holds_nothing_any_more(http: Http, site: Site) -> None:
    secret = "5" * 64
    with site.database.transaction() as tx:
        issues.create(tx, issues.Draft(title="Do it"), "tester")
        started = sessions.start(tx, run="r-1", agent="a", driver="script", supervisor="h:1:1", secret=secret, ttl=60)
        assert started is not None
        session = started[0]
    assert http.ok("leases/acquire", secret, resources=[CODE])["holder"] == session.id
    assert http.ok("resolve", secret, kind="no_change", rationale="it is there")["session"] == session.id
    assert http.post("leases/release", secret, resources=[session.resource])[1]["code"] == "conflict"
    with site.database.transaction() as tx:
        sessions.end(tx, sessions.get(tx, session.id), "cancelled")
    assert http.post("leases/acquire", secret, resources=[CODE])[0] == 409
    assert http.post("files/read", secret, path="README.md")[1]["code"] == "not_ready"


NOES: list[tuple[str, str, bytes, dict[str, str], int, str]] = [
    ("GET", "/nothing", b"", {}, 404, "not_found"),
    ("GET", "/v1/status", b"", {}, 405, "method_not_allowed"),
    ("DELETE", "/v1/health", b"", {}, 405, "method_not_allowed"),
    ("POST", "/v1/status", b'{"text":"x"}', {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ("POST", "/v1/status", b"{", {}, 400, "bad_input"),
    ("POST", "/v1/status", b"\xff\xfe", {}, 400, "bad_input"),
    ("POST", "/v1/status", b'{"text":"\xed\xa0\x80"}', {}, 400, "bad_input"),
    ("POST", "/v1/status", b'{"text":"\\u0000"}', {}, 400, "bad_input"),
    ("POST", "/v1/status", b'{"text":' + b"[" * 100_000, {}, 400, "bad_input"),
    ("POST", "/v1/status", b'{"text":"x","more":1}', {}, 400, "bad_input"),
    ("POST", "/v1/status", b" " * (LIMIT + 1), {}, 413, "too_large"),
    ("POST", "/v1/status", b'{"text":"x"}', {"Origin": "http://evil.example"}, 403, "forbidden"),
    ("GET", "/v1/health", b"", {"Host": "evil.example:80"}, 403, "forbidden"),
]


def test_every_no_is_json(http: Http) -> None:
    usual = {"Authorization": f"Bearer {SECRETS['alice']}", "Content-Type": "application/json"}
    for method, path, content, headers, status, code in NOES:
        response = http.client.request(method, path, content=content, headers={**usual, **headers})
        answer: dict[str, Any] = response.json()
        assert (response.status_code, answer["ok"], answer["code"]) == (status, False, code)
        assert answer["message"] and SECRETS["alice"] not in response.text
        assert response.headers["content-type"] == "application/json"


def test_what_is_too_large_is_not_read_to_its_end(http: Http) -> None:
    given = 0

    def endless() -> Any:
        nonlocal given
        while given < 100 * LIMIT:
            given += 65_536
            yield b" " * 65_536

    response = http.client.post("/v1/status", content=endless())
    assert response.status_code == 413


def test_health_needs_no_secret_and_tells_nothing_of_the_project(http: Http) -> None:
    answer = http.client.get("/v1/health").json()
    assert answer.keys() == {"ok", "version"} and re.fullmatch(r"\d+\.\d+.*", answer["version"])
