"""Everything a project's database holds, to compare before and after."""

from __future__ import annotations

import re
from typing import Any

from intarsia.kernel import Database
from intarsia.kernel.migrations import MIGRATIONS

TABLES = [name for step in MIGRATIONS for sql in step for name in re.findall(r"CREATE TABLE (\w+) \(", sql)]


def dump(database: Database) -> dict[str, list[dict[str, Any]]]:
    with database.read() as tx:
        return {table: tx.all(f"SELECT * FROM {table} WHERE project = :project ORDER BY 1, 2, 3") for table in TABLES}
