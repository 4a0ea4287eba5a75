"""The schema, as numbered steps. A step that has landed is never edited; a new one is added.

Words in braces stand for what SQLite and PostgreSQL spell differently: `bytewise` is text that sorts by its bytes, and
`tokens` makes the counter of fencing tokens; `functions` are those that run in PostgreSQL.
"""

from __future__ import annotations

from intarsia.kernel.functions import ACQUIRE_IN_MODES, DROP_FIRST_ACQUIRE, FUNCTIONS

DIALECTS = {
    "sqlite": {
        "identity": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "double": "REAL",
        "bytewise": "TEXT",
        "tokens": "CREATE TABLE tokens AS SELECT 0 AS last",
        "functions": "SELECT 1",
        "acquire_in_modes": "SELECT 1",
    },
    "postgresql": {
        "identity": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "double": "DOUBLE PRECISION",
        "bytewise": 'TEXT COLLATE "C"',
        "tokens": "CREATE SEQUENCE tokens",
        "functions": FUNCTIONS,
        "acquire_in_modes": DROP_FIRST_ACQUIRE + ACQUIRE_IN_MODES,
    },
}

MIGRATIONS: list[list[str]] = [
    [
        "{tokens}",
        """
        CREATE TABLE issues (
            project TEXT NOT NULL, id TEXT NOT NULL,
            title TEXT NOT NULL, body TEXT NOT NULL, acceptance TEXT NOT NULL,
            type TEXT NOT NULL, priority INTEGER NOT NULL, status TEXT NOT NULL,
            queue TEXT NOT NULL, labels TEXT NOT NULL, assignee TEXT, claims TEXT NOT NULL,
            parent TEXT, external TEXT, resolution TEXT,
            attempts INTEGER NOT NULL, not_before {double}, due {double},
            created {double} NOT NULL, updated {double} NOT NULL, closed {double},
            PRIMARY KEY (project, id)
        )""",
        "CREATE INDEX issues_by_rank ON issues (project, status, priority, created, id)",
        "CREATE INDEX issues_by_parent ON issues (project, parent)",
        """
        CREATE TABLE dependencies (
            project TEXT NOT NULL, issue TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL,
            PRIMARY KEY (project, issue, target, kind)
        )""",
        "CREATE INDEX dependencies_by_target ON dependencies (project, target)",
        """
        CREATE TABLE sessions (
            project TEXT NOT NULL, id TEXT NOT NULL,
            run TEXT NOT NULL, agent TEXT NOT NULL, driver TEXT NOT NULL,
            purpose TEXT NOT NULL, issue TEXT, secret_hash TEXT NOT NULL,
            stage TEXT NOT NULL, reason TEXT NOT NULL, resume TEXT,
            supervisor TEXT NOT NULL, token BIGINT NOT NULL,
            turn INTEGER NOT NULL, attempt INTEGER NOT NULL,
            workspace TEXT, branch TEXT, base TEXT, head TEXT,
            prompt TEXT NOT NULL, progress TEXT NOT NULL, vendor_id TEXT, resolution TEXT, usage TEXT NOT NULL,
            parent TEXT, depth INTEGER NOT NULL,
            created {double} NOT NULL, updated {double} NOT NULL, ended {double},
            PRIMARY KEY (project, id)
        )""",
        "CREATE INDEX sessions_by_stage ON sessions (project, stage)",
        "CREATE INDEX sessions_by_issue ON sessions (project, issue)",
        """
        CREATE TABLE leases (
            project TEXT NOT NULL, key {bytewise} NOT NULL, session TEXT NOT NULL,
            resource TEXT NOT NULL, mode TEXT NOT NULL, token BIGINT NOT NULL, note TEXT NOT NULL,
            acquired {double} NOT NULL, expires {double} NOT NULL,
            PRIMARY KEY (project, key, session)
        )""",
        """
        CREATE TABLE line (
            project TEXT NOT NULL, turn BIGINT NOT NULL, session TEXT NOT NULL, wants TEXT NOT NULL,
            since {double} NOT NULL, expires {double} NOT NULL,
            PRIMARY KEY (project, turn)
        )""",
        "CREATE INDEX leases_by_session ON leases (project, session)",
        """
        CREATE TABLE events (
            id {identity}, project TEXT NOT NULL, time {double} NOT NULL,
            run TEXT, issue TEXT, session TEXT, actor TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL
        )""",
        "CREATE INDEX events_by_project ON events (project, id)",
        "CREATE INDEX events_by_issue ON events (project, issue, id)",
        "CREATE INDEX events_by_session ON events (project, session, id)",
        """
        CREATE TABLE evidence (
            project TEXT NOT NULL, tree TEXT NOT NULL, name TEXT NOT NULL, command TEXT NOT NULL,
            passed INTEGER NOT NULL, exit_code INTEGER, seconds {double} NOT NULL,
            log TEXT NOT NULL, session TEXT, time {double} NOT NULL,
            PRIMARY KEY (project, tree, name, command)
        )""",
        """
        CREATE TABLE members (
            project TEXT NOT NULL, name TEXT NOT NULL, secret_hash TEXT NOT NULL,
            joined {double} NOT NULL, seen {double} NOT NULL,
            PRIMARY KEY (project, name)
        )""",
        """
        CREATE TABLE decisions (
            id {identity}, project TEXT NOT NULL, issue TEXT NOT NULL, actor TEXT NOT NULL,
            kind TEXT NOT NULL, text TEXT NOT NULL, time {double} NOT NULL
        )""",
        "CREATE INDEX decisions_by_issue ON decisions (project, issue, id)",
        """
        CREATE TABLE messages (
            id {identity}, project TEXT NOT NULL, time {double} NOT NULL, sender TEXT NOT NULL,
            addressed TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, reply_to BIGINT, thread BIGINT
        )""",
        "CREATE INDEX messages_by_thread ON messages (project, thread)",
        """
        CREATE TABLE recipients (
            project TEXT NOT NULL, recipient TEXT NOT NULL, message BIGINT NOT NULL,
            PRIMARY KEY (project, recipient, message)
        )""",
        """
        CREATE TABLE cursors (
            project TEXT NOT NULL, reader TEXT NOT NULL, kind TEXT NOT NULL, position BIGINT NOT NULL,
            PRIMARY KEY (project, reader, kind)
        )""",
        """
        CREATE TABLE dailies (
            project TEXT NOT NULL, date TEXT NOT NULL, opened {double} NOT NULL, collected {double},
            PRIMARY KEY (project, date)
        )""",
        """
        CREATE TABLE summaries (
            project TEXT NOT NULL, date TEXT NOT NULL, agent TEXT NOT NULL, place INTEGER NOT NULL,
            status TEXT NOT NULL, text TEXT NOT NULL, time {double},
            PRIMARY KEY (project, date, agent)
        )""",
        """
        CREATE TABLE syncs (
            project TEXT NOT NULL, name TEXT NOT NULL, position BIGINT NOT NULL, failures INTEGER NOT NULL,
            problem TEXT NOT NULL, next_try {double}, last_success {double},
            PRIMARY KEY (project, name)
        )""",
        "{functions}",
    ],
    ["{acquire_in_modes}"],
    [
        """
        CREATE TABLE spending (
            project TEXT NOT NULL, session TEXT NOT NULL, run TEXT NOT NULL, issue TEXT NOT NULL, day TEXT NOT NULL,
            turns INTEGER NOT NULL, input BIGINT NOT NULL, cached BIGINT NOT NULL, output BIGINT NOT NULL,
            cost {double} NOT NULL, unpriced BIGINT NOT NULL,
            PRIMARY KEY (project, session, run, day)
        )""",
        "CREATE INDEX spending_by_day ON spending (project, day)",
        "CREATE INDEX spending_by_run ON spending (project, run)",
        "CREATE INDEX spending_by_issue ON spending (project, issue)",
        """
        CREATE TABLE pauses (
            project TEXT NOT NULL, account TEXT NOT NULL, until {double} NOT NULL, since {double} NOT NULL,
            attempt INTEGER NOT NULL, reason TEXT NOT NULL, session TEXT NOT NULL,
            PRIMARY KEY (project, account)
        )""",
    ],
    [
        """
        CREATE TABLE calls (
            project TEXT NOT NULL, issue TEXT NOT NULL, caller TEXT NOT NULL, session TEXT, about TEXT,
            depth INTEGER NOT NULL, result TEXT NOT NULL,
            PRIMARY KEY (project, issue)
        )""",
    ],
]
