"""What a kind of node is to the splitter, by its number in the grammar."""

from __future__ import annotations

from functools import cache

from intarsia.code.languages import LANGUAGES, Language, grammar
from intarsia.code.naming import CALLS

ERROR = 65_535
PLAIN, COMMENT, ATTACHED, SEPARATOR, TOKEN, CONTAINER, TRANSPARENT, IMPORT, WRAPPER, CALL = range(10)
_SEPARATORS = frozenset((";", ",", ":", "empty_statement"))


@cache
def roles(language: str) -> dict[int, int]:
    known, table = grammar(language), LANGUAGES[language]
    found = {ERROR: TRANSPARENT}
    for number in range(known.node_kind_count):
        named = known.node_kind_is_named(number)
        found[number] = _role(known.node_kind_for_id(number) or "", bool(named), table)
    return found


def _role(kind: str, named: bool, table: Language) -> int:
    if kind in _SEPARATORS:
        return SEPARATOR
    if not named:
        return TOKEN
    if kind.endswith("comment"):
        return COMMENT
    if kind in CALLS:
        return CALL
    for role, kinds in (
        (IMPORT, table.imports),
        (TRANSPARENT, table.transparent),
        (CONTAINER, table.containers),
        (WRAPPER, table.wrappers),
        (ATTACHED, table.attached),
    ):
        if kind in kinds:
            return role
    return PLAIN
