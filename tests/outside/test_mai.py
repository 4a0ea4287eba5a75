"""Projects in Mai's format: what is there is imported as it is, what can't be told apart is not mixed."""

# The colons of full width are Mai's.
# ruff: noqa: RUF001

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from intarsia.errors import ConfigError, Conflict, NotFound
from intarsia.kernel import Database, daily, decisions, events, issues
from intarsia.kernel.issues import Draft
from intarsia.outside import imports, rules
from intarsia.outside import mai as mai_module
from intarsia.outside.imports import Imported
from intarsia.outside.mai import Mai
from intarsia.settings import load
from tests.support.sandbox import Sandbox

CONFIG: dict[str, Any] = {
    "name": "game",
    "initialized_at": "2026-01-02T09:00:00",
    "queues": {
        "programmer-questions": {"handler": "designer", "sla_minutes": 120, "prefix": "REQ"},
        "architect-reviews-designer": {"handler": "designer", "sla_minutes": 120, "prefix": "REQ"},
        "quick-fix-requests": {"owner": "programmer", "sla_hours": 0.5, "prefix": "FIX"},
        "designer-blockers": {"handler": "designer", "sla_minutes": None, "prefix": "BLK"},
    },
    "agents": {
        "programmer": {"heartbeat_minutes": 17},
        "designer": {"heartbeat_minutes": 29},
    },
    "daily_summary_order": ["programmer", "designer"],
    "issue_status_emoji": {"open": "🔓"},
}


class Project:
    """Writes files as Mai does."""

    def __init__(self, root: Path, config: Any = CONFIG) -> None:
        self.root = root
        self.write("config.json", json.dumps(config, ensure_ascii=False))

    def write(self, name: str, text: str) -> Path:
        path = self.root / ".mai" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def issue(
        self,
        queue: str,
        id: str,
        title: str = "How fast is the boat?",
        status: str = "🔓 open",
        *,
        description: str | None = None,
        context: str = "",
        due: str = "2026-01-05T12:00:00",
        reference: str = "",
        timeline: str = "- [2026-01-05T10:00:00] @designer: 创建",
    ) -> None:
        head = [
            f"# [{id}] {title}",
            "",
            "**发起方：** @designer",
            "**处理方：** @designer",
            "**创建时间：** 2026-01-05T10:00:00",
            f"**状态：** {status}",
            f"**SLA 截止：** {due}",
            f"**队列：** {queue}",
        ]
        if reference:
            head.append(f"**关联 Issue：** [{reference}](#)")
        sections = ["## 问题描述", "", title if description is None else description, ""]
        sections += ["## 关联上下文", "", context, "", "## 处理记录", "", timeline]
        self.write(f"queues/{queue}/{id}.md", "\n".join([*head, "", "---", "", *sections]).rstrip("\n"))

    def decision(self, id: str, *blocks: str) -> None:
        self.write(f"decisions/{id}.md", f"# 结论 - Issue {id}\n" + "".join(blocks))

    def history(self, day: str, *lines: str) -> None:
        self.write(f"history/{day}.log", "".join(f"{line}\n" for line in lines))


def conclusion(text: str, actor: str = "programmer", at: str = "2026-01-05T11:00:00") -> str:
    return f"\n## 结论 @ {at}\n\n**结论：** {text}\n**处理人：** {actor}\n"


def amendment(text: str, at: str = "2026-01-06T11:00:00") -> str:
    return f"\n## 修订记录 @ {at}\n\n**修订人：** system\n**备注：** {text}\n**状态：** 已修订\n"


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mai writes local time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "game")


def utc(year: int, month: int, day: int, hour: int) -> float:
    return datetime(year, month, day, hour, tzinfo=UTC).timestamp()


def store(database: Database, mai: Mai) -> Imported:
    with database.transaction() as tx:
        return imports.store(tx, mai, "alice")


def everything(database: Database) -> list[str]:
    """All rows of the project, without the issues' times of change."""
    with database.read() as tx:
        found = [*issues.find(tx), *events.everything(tx)]
        for issue in issues.find(tx):
            found += decisions.of(tx, issue.id)
    return sorted(map(repr, found))


# What is imported.


def test_an_issue_keeps_its_id_times_text_and_timeline(database: Database, project: Project) -> None:
    project.issue(
        "programmer-questions",
        "REQ-001",
        context="See the wiki.",
        timeline="- [2026-01-05T10:00:00] @designer: 创建\n- [2026-01-05T10:30:00] @programmer: asked\nagain",
    )
    store(database, mai_module.read(project.root))
    with database.read() as tx:
        issue = issues.get(tx, "REQ-001")
        told = events.since(tx, issue="REQ-001")
    assert (issue.title, issue.status, issue.queue) == ("How fast is the boat?", "open", "programmer-questions")
    assert (issue.created, issue.due) == (utc(2026, 1, 5, 9), utc(2026, 1, 5, 11))
    assert issue.body == "## 关联上下文\n\nSee the wiki."
    assert issue.external == "REQ-001"
    assert {event.kind for event in told} == {"imported"}
    notes = [(event.time, event.actor, event.data["note"]) for event in told if "note" in event.data]
    assert notes == [
        (utc(2026, 1, 5, 9), "designer", "创建"),
        (utc(2026, 1, 5, 9) + 1800, "programmer", "asked\nagain"),
    ]
    assert told[0].data["initiator"] == "designer"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("🔓 open", "open"),
        ("open", "open"),
        ("🔄 进行中", "open"),
        ("进行中", "open"),
        ("✅ 完成", "closed"),
        ("⚠️ 已修订", "open"),
        ("🚫 blocked", "blocked"),
        ("⏰ overdue", "open"),
        ("🔺 escalated", "open"),
        ("🔒 claimed", "open"),
        ("✅ complete", "closed"),
    ],
)
def test_every_status_has_its_counterpart(database: Database, project: Project, said: str, status: str) -> None:
    project.issue("quick-fix-requests", "FIX-001", status=said)
    store(database, mai_module.read(project.root))
    with database.read() as tx:
        issue = issues.get(tx, "FIX-001")
        ready = [issue.id for issue in issues.ready(tx)]
    assert issue.status == status
    assert (issue.resolution, issue.closed is not None) == (
        ("completed", True) if status == "closed" else (None, False)
    )
    assert ready == (["FIX-001"] if status == "open" else [])


def test_decisions_are_kept_in_their_order(database: Database, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001", status="⚠️ 已修订")
    project.decision(
        "FIX-001",
        conclusion("use \\d+\n\n## not a heading of ours\nand more"),
        conclusion("", at="2026-01-05T12:00:00"),
        amendment("slower"),
    )
    imported = store(database, mai_module.read(project.root))
    assert imported.decisions == 3
    with database.read() as tx:
        issue = issues.get(tx, "FIX-001")
        found = decisions.of(tx, "FIX-001")
    assert [(d.kind, d.actor, d.text, d.time) for d in found] == [
        ("conclusion", "programmer", "use \\d+\n\n## not a heading of ours\nand more", utc(2026, 1, 5, 10)),
        ("conclusion", "programmer", "(no text)", utc(2026, 1, 5, 11)),
        ("amendment", "system", "slower", utc(2026, 1, 6, 10)),
    ]
    assert (issue.status, issue.closed) == ("closed", utc(2026, 1, 5, 11))  # amended after it was concluded


def test_history_and_daily_summaries(database: Database, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001")
    project.history(
        "2026-01-05",
        "[2026-01-05T10:00:00] [DESIGNER] [issue_new] FIX-001 How fast is the boat? [open]",
        "[2026-01-05T10:01:00] [STRANGER] [note] two",
        "lines, one [odd] [done]",
    )
    project.write("history/daily-2026-01-05/designer.md", "Drew boats.")
    project.write("history/daily-2026-01-05/programmer.md", "Wrote boats.")
    imported = store(database, mai_module.read(project.root))
    assert (imported.history, imported.summaries) == (2, 2)
    with database.read() as tx:
        found = [event for event in events.everything(tx) if "text" in event.data]
        day = daily.get(tx, "2026-01-05")
    assert [(e.time, e.actor, e.issue, e.kind, e.data) for e in found] == [
        (
            utc(2026, 1, 5, 9),
            "designer",
            "FIX-001",
            "imported",
            {"type": "issue_new", "text": "FIX-001 How fast is the boat?", "status": "open"},
        ),
        (
            utc(2026, 1, 5, 9) + 60,
            "stranger",
            None,
            "imported",
            {"type": "note", "text": "two\nlines, one [odd]", "status": "done"},
        ),
    ]
    assert [(entry.agent, entry.status, entry.text) for entry in day.entries] == [
        ("programmer", "written", "Wrote boats."),
        ("designer", "written", "Drew boats."),
    ]
    assert day.collected is not None


def test_a_line_of_history_that_names_two_issues_belongs_to_neither(database: Database, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001")
    project.issue("quick-fix-requests", "FIX-002")
    project.history("2026-01-05", "[2026-01-05T10:00:00] [DESIGNER] [note] FIX-001 after FIX-002 [open]")
    store(database, mai_module.read(project.root))
    with database.read() as tx:
        assert [event.issue for event in events.everything(tx) if event.data.get("type") == "note"] == [None]


def test_references_become_links(database: Database, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001")
    project.issue("designer-blockers", "BLK-001", reference="FIX-001")
    project.issue("designer-blockers", "BLK-002", reference="FIX-099")
    imported = store(database, mai_module.read(project.root))
    with database.read() as tx:
        assert issues.dependencies(tx, "BLK-001") == [{"issue": "BLK-001", "target": "FIX-001", "kind": "related"}]
        assert issues.dependencies(tx, "BLK-002") == []
        assert "It refers to FIX-099." in issues.notes(tx, "BLK-002")
    assert any("BLK-002 refers to FIX-099" in remark for remark in imported.remarks)


def test_a_description_with_headings_is_whole(database: Database, project: Project) -> None:
    """Mai's own escalations are such, and Mai itself then reads an empty description."""
    template = "## 核心分歧\n\nBoats.\n\n## 立场 A\n\nFast.\n\n## 处理记录\n\nforged\n\n## 立场 B\n\nSlow."
    project.issue("architect-reviews-designer", "REQ-001", "⚠️ [冲突升级] Boats", description=template, due="")
    store(database, mai_module.read(project.root))
    with database.read() as tx:
        issue = issues.get(tx, "REQ-001")
    assert issue.body == template
    assert issue.due is None


def test_a_title_that_is_too_long_is_kept_in_the_body(database: Database, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001", "x" * 400)
    store(database, mai_module.read(project.root))
    with database.read() as tx:
        issue = issues.get(tx, "FIX-001")
    assert len(issue.title) == 300
    assert "x" * 400 in issue.body


# Collisions.


def test_issues_that_share_an_id_are_kept_apart(database: Database, project: Project) -> None:
    project.issue("programmer-questions", "REQ-001", "Fast?")
    project.issue("architect-reviews-designer", "REQ-001", "Slow?", "✅ 完成")
    project.issue("programmer-questions", "REQ-002", "Else?", reference="REQ-001")
    project.decision("REQ-001", conclusion("Of which?"))
    project.decision("REQ-002", conclusion("Clear."))
    project.history("2026-01-05", "[2026-01-05T10:00:00] [DESIGNER] [issue_claim] REQ-001 claimed [claimed]")
    imported = store(database, mai_module.read(project.root))
    both = ["architect-reviews-designer-REQ-001", "programmer-questions-REQ-001"]
    assert imported.collisions == {"REQ-001": both}
    with database.read() as tx:
        found = {issue.id: (issue.title, issue.external, issue.status) for issue in issues.find(tx)}
        history = [event for event in events.everything(tx) if event.data.get("type") == "issue_claim"]
        apart = [event for event in events.everything(tx) if event.data.get("text") == "Of which?"]
        assert [decisions.of(tx, id) for id in both] == [[], []]
        assert [d.text for d in decisions.of(tx, "REQ-002")] == ["Clear."]
        assert issues.dependencies(tx, "REQ-002") == []
    assert found == {
        both[0]: ("Slow?", "REQ-001", "closed"),
        both[1]: ("Fast?", "REQ-001", "open"),
        "REQ-002": ("Else?", "REQ-002", "open"),
    }
    assert [event.issue for event in history] == [None]
    assert [(event.issue, event.data["external"]) for event in apart] == [(None, "REQ-001")]
    assert imported.decisions == 1
    assert len([remark for remark in imported.remarks if "REQ-001" in remark]) == 2


def test_an_id_that_is_here_already_is_a_collision_too(database: Database, project: Project) -> None:
    with database.transaction() as tx:
        issues.create(tx, Draft("Ours", id="FIX-001"), "alice")
        issues.create(tx, Draft("Ours", id="quick-fix-requests-FIX-001"), "alice")
    project.issue("quick-fix-requests", "FIX-001")
    project.decision("FIX-001", conclusion("Of Mai's."))
    imported = store(database, mai_module.read(project.root))
    assert imported.collisions == {"FIX-001": ["quick-fix-requests-FIX-001-2"]}
    with database.read() as tx:
        assert issues.get(tx, "FIX-001").title == "Ours"
        assert decisions.of(tx, "FIX-001") == []
        assert [d.text for d in decisions.of(tx, "quick-fix-requests-FIX-001-2")] == ["Of Mai's."]


def test_a_file_that_can_not_be_read_is_a_collision_too(database: Database, project: Project) -> None:
    """Else what is said of the one that was left out would be attached to the other."""
    project.issue("programmer-questions", "REQ-001", "Fast?")
    project.write("queues/architect-reviews-designer/REQ-001.md", "")
    project.decision("REQ-001", conclusion("Of which?"))
    imported = store(database, mai_module.read(project.root))
    assert imported.collisions == {"REQ-001": ["programmer-questions-REQ-001"]}
    with database.read() as tx:
        assert decisions.of(tx, "programmer-questions-REQ-001") == []


def test_queues_whose_names_need_changing_stay_apart(database: Database, project: Project) -> None:
    for queue in ("a b", "a-b", "策划"):
        project.issue(queue, "REQ-001", f"Of {queue}")
    mai = mai_module.read(project.root)
    store(database, mai)
    with database.read() as tx:
        assert {(issue.queue, issue.title) for issue in issues.find(tx)} == {
            ("a-b", "Of a b"),
            ("a-b-2", "Of a-b"),
            ("queue", "Of 策划"),
        }
    assert {"a-b", "a-b-2", "queue"} <= set(mai.rules.queues)


def test_it_is_stored_once(database: Database, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001")
    project.decision("FIX-001", conclusion("Yes."))
    first = store(database, mai_module.read(project.root))
    before = everything(database)
    second = store(database, mai_module.read(project.root))
    assert second.again
    assert second.issues == first.issues
    assert everything(database) == before
    project.issue("quick-fix-requests", "FIX-002")
    with pytest.raises(Conflict, match="already"):
        store(database, mai_module.read(project.root))
    assert everything(database) == before


# What can't be read.


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("queues/q/REQ-001.md", "", "empty"),
        ("queues/q/REQ-001.md", "# Processing\n\nIssue: REQ-001\nAgent: a", "no issue"),
        ("queues/q/REQ-001.md", "# [REQ-002] x\n\n**状态：** open\n\n---\n", r"says \[REQ-002\]"),
        ("queues/q/REQ-001.md", "# [REQ-001] \n\n**状态：** open\n\n---\n", "no title"),
        ("queues/q/REQ-001.md", "# [REQ-001] x\n\n**状态：** open\n\n---\n", "when it was created"),
        ("queues/q/REQ-001.md", "# [REQ-001] x\n\n**创建时间：** 5 o'clock\n**状态：** open\n\n---\n", "no time"),
        ("queues/q/REQ-001.md", "# [REQ-001] x\n\n**创建时间：** 2026-01-05\n**状态：** 😀 huh\n\n---\n", "not known"),
        ("queues/q/REQ-001.md", "# [REQ-001] x\nforged\n**创建时间：** 2026-01-05\n\n---\n", "no field"),
        (
            "queues/q/REQ-001.md",
            "# [REQ-001] x\n**状态：** ✅ 完成\n\n**创建时间：** 2026-01-05\n**状态：** open\n\n---\n",
            "状态 twice",
        ),
        (
            "queues/q/RE Q.md",
            "# [RE Q] x\n\n**创建时间：** 2026-01-05\n**状态：** open\n\n---\n",
            "can't be an issue id",
        ),
        ("queues/q/REQ-001.md", "# [REQ-001] \0\n", "NUL"),
        ("decisions/REQ-001.md", "", "empty"),
        ("decisions/REQ-001.md", "# 结论 - Issue REQ-001\n", "no conclusion"),
        ("decisions/REQ-001.md", "## 结论 @ never\n\n**结论：** x\n", "no time"),
        ("history/today.log", "[2026-01-05T10:00:00] [A] [t] x [s]\n", "no date"),
        ("history/2026-01-05.log", "garbage\n", "no entry"),
        ("history/2026-01-05.log", "[noon] [A] [t] x [s]\n", "no time"),
        ("history/daily-2026-13-05/designer.md", "x", "no date"),
    ],
)
def test_what_can_not_be_read_is_named(project: Project, name: str, text: str, reason: str) -> None:
    project.issue("quick-fix-requests", "FIX-001")
    project.write(name, text)
    mai = mai_module.read(project.root)
    assert [broken.file for broken in mai.broken] == [name]
    said = mai.broken[0].reason
    assert re.search(reason, said), said
    assert [found.mai_id for found in mai.issues] == ["FIX-001"]
    assert (mai.history, mai.conclusions, mai.days) == ([], [], [])


def test_files_that_are_no_text_or_lead_elsewhere_are_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("# [REQ-002] x\n")
    queue = project.write("queues/q/REQ-001.md", "").parent
    (queue / "REQ-001.md").write_bytes(b"\xff\xfe")
    (queue / "REQ-002.md").symlink_to(tmp_path / "secret.md")
    (queue / "REQ-003.md").mkdir()
    os.mkfifo(queue / "REQ-004.md")
    (project.root / ".mai" / "queues" / "elsewhere").symlink_to(tmp_path)
    mai = mai_module.read(project.root)
    assert [(broken.file, broken.reason.partition(",")[0]) for broken in mai.broken] == [
        ("queues/elsewhere/secret.md", "it is a symbolic link"),
        ("queues/q/REQ-001.md", "it is not UTF-8"),
        ("queues/q/REQ-002.md", "it is a symbolic link"),
        ("queues/q/REQ-003.md", "it is no file of at most 4 MiB"),
        ("queues/q/REQ-004.md", "it is no file of at most 4 MiB"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[]", "the file must be an object"),
        ('{"queues": []}', "queues must be an object"),
        ('{"queues": {"q": "designer"}}', "queues.q must be an object"),
        ('{"queues": {"q": {"sla_minutes": "two"}}}', "queues.q.sla_minutes must be a number"),
        ('{"queues": {"q": {"handler": 3}}}', "queues.q.handler must be a text"),
        ('{"agents": {"a": {"heartbeat_minutes": true}}}', "agents.a.heartbeat_minutes must be a number"),
        ('{"daily_summary_order": "a"}', "daily_summary_order must be a list"),
        ('{"agents": {"a": {"heartbeat_minutes": NaN}}}', "must be a number"),
        ("\xff", "not JSON"),
    ],
)
def test_a_corrupt_config_is_an_error(project: Project, text: str, said: str) -> None:
    project.write("config.json", text)
    with pytest.raises(ConfigError, match=said):
        mai_module.read(project.root)


def test_what_is_no_mai_project_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no Mai project"):
        mai_module.read(tmp_path)


# Settings.


def effective(mai: Mai, tmp_path: Path) -> Any:
    (tmp_path / "intarsia.toml").write_text(rules.settings(mai.rules), encoding="utf-8")
    return load(tmp_path, environ={}).config


def test_settings_say_what_mai_did(project: Project, tmp_path: Path) -> None:
    config = effective(mai_module.read(project.root), tmp_path)
    assert {name: (q.handler, q.sla, q.prefix, q.escalate_to) for name, q in config.queues.items()} == {
        "programmer-questions": ("designer", 120, "REQ", "architect-reviews-designer"),
        "architect-reviews-designer": ("designer", 120, "REQ", ""),
        "quick-fix-requests": ("programmer", 30, "FIX", "architect-reviews-designer"),
        "designer-blockers": ("designer", 0, "BLK", "architect-reviews-designer"),
    }
    assert {name: agent.heartbeat for name, agent in config.agents.items()} == {"programmer": 1020, "designer": 1740}
    assert config.daily.order == ["programmer", "designer"]


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ({}, ("designer", 120)),
        ({"owner": "@bob"}, ("bob", 120)),
        ({"owner": "bob", "handler": "eve"}, ("eve", 120)),
        ({"sla_hours": 3}, ("designer", 180)),
        ({"sla_hours": 3, "sla_minutes": 10}, ("designer", 10)),
        ({"sla_hours": 3, "sla_minutes": None}, ("designer", 0)),
        ({"sla_hours": None}, ("designer", 0)),
        ({"sla_minutes": 0}, ("designer", 0)),
        ({"sla_minutes": 0.5}, ("designer", 1)),
    ],
)
def test_legacy_names_are_understood_and_new_ones_win(
    tmp_path: Path, queue: dict[str, Any], expected: tuple[str, int]
) -> None:
    project = Project(tmp_path / "game", {"queues": {"programmer-questions": queue}})
    config = effective(mai_module.read(project.root), tmp_path)
    found = config.queues["programmer-questions"]
    assert (found.handler, found.sla) == expected
    assert found.handler in config.agents


def test_settings_that_do_not_fit_are_remarked(tmp_path: Path) -> None:
    strange = 'a "b"\n[x] \x7f\\ü'
    config = {
        "queues": {strange: {"handler": strange, "prefix": "1!"}, "": {}},
        "agents": {strange: {"heartbeat_minutes": 100_000}, "b": {"heartbeat_minutes": None}},
        "daily_summary_order": [strange, strange],
    }
    mai = mai_module.read(Project(tmp_path / "game", config).root)
    found = effective(mai, tmp_path)
    assert found.agents[strange.strip()].heartbeat == 57_600
    assert found.daily.order == [strange]
    assert len(mai.rules.remarks) == 4


# The command.


def test_init_imports_a_project(each_sandbox: Sandbox, project: Project) -> None:
    project.issue("programmer-questions", "REQ-001", "Fast?")
    project.issue("architect-reviews-designer", "REQ-001", "Slow?")
    project.issue("quick-fix-requests", "FIX-001")
    said = each_sandbox.ok("init", "--from-mai", str(project.root))
    assert "Imported game: 3 issues in 4 queues" in said
    assert "Several issues were REQ-001: architect-reviews-designer-REQ-001, programmer-questions-REQ-001" in said
    assert each_sandbox.status("FIX-001") == "open"
    config = load(each_sandbox.root, environ={}).config
    assert config.queues["quick-fix-requests"].handler == "programmer"
    assert each_sandbox.call("init", "--from-mai", str(project.root)).returncode == 1
    assert len(each_sandbox.json("issue", "list")["issues"]) == 3


def test_a_dry_run_shows_the_same_and_writes_nothing(each_sandbox: Sandbox, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001")
    foretold = each_sandbox.json("init", "--from-mai", str(project.root), "--dry-run")
    assert (foretold["ok"], foretold["dry_run"]) == (True, True)
    assert sorted(path.name for path in each_sandbox.root.iterdir()) == [".git", ".gitignore", "README.md"]
    assert each_sandbox.json("issue", "list")["issues"] == []
    done = each_sandbox.json("init", "--from-mai", str(project.root))
    assert done["imported"] == foretold["imported"]
    assert len(each_sandbox.json("issue", "list")["issues"]) == 1


def test_broken_files_stop_it_unless_they_are_skipped(sandbox: Sandbox, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001")
    project.write("queues/quick-fix-requests/FIX-002.md", "")
    done = sandbox.call("init", "--from-mai", str(project.root))
    assert done.returncode == 1
    assert "queues/quick-fix-requests/FIX-002.md: it is empty" in done.stderr
    answer = sandbox.json("init", "--from-mai", str(project.root))
    assert (answer["ok"], answer["code"]) == (False, "broken_files")
    assert answer["broken"] == [{"file": "queues/quick-fix-requests/FIX-002.md", "reason": "it is empty"}]
    assert sorted(path.name for path in sandbox.root.iterdir()) == [".git", ".gitignore", "README.md"]
    said = sandbox.ok("init", "--from-mai", str(project.root), "--skip-broken")
    assert "Left out queues/quick-fix-requests/FIX-002.md: it is empty" in said
    assert sandbox.status("FIX-001") == "open"


def test_a_corrupt_config_changes_nothing(sandbox: Sandbox, project: Project) -> None:
    project.write("config.json", '{"queues": ')
    answer = sandbox.json("init", "--from-mai", str(project.root))
    assert (answer["ok"], answer["code"]) == (False, "config")
    assert sorted(path.name for path in sandbox.root.iterdir()) == [".git", ".gitignore", "README.md"]
    assert sandbox.call("init", "--skip-broken").returncode == 2


def test_killed_before_the_settings_were_written_it_goes_on(sandbox: Sandbox, project: Project) -> None:
    project.issue("quick-fix-requests", "FIX-001")
    sandbox.ok("init", "--from-mai", str(project.root))
    (sandbox.root / "intarsia.toml").unlink()
    assert "imported before" in sandbox.ok("init", "--from-mai", str(project.root))
    assert (sandbox.root / "intarsia.toml").exists()
    assert len(sandbox.json("issue", "list")["issues"]) == 1
