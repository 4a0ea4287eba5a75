"""Three versions of a snippet as plain trees, shaped for merging.

A tree here differs from tree-sitter's in three ways: an `if` with its `else if`s, however nested, is one `chain` of
`branch`es; lists that a grammar nests or wraps are flat; and a comment belongs to the block whose line it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intarsia.code.languages import parse

if TYPE_CHECKING:
    import tree_sitter

    from intarsia.code.inside.effects import Effects
    from intarsia.code.inside.items import Region
    from intarsia.code.inside.kinds import Shape

    Source = tuple[tree_sitter.Node, bool]  # and whether it is of Python

MAX_BYTES = 300_000
MAX_DEPTH = 900
_BLANKS = b" \t\n\r\v\f"
# What is put around members that do not parse alone.
_AROUND = {
    "python": [
        ("", ""),
        *((f"if 1:\n{indent}", "") for indent in ("", "    ", "        ", "            ", "\t", "  ")),
    ],
    "javascript": [("", ""), ("class _ {\n", "\n}"), ("function* _() {\n", "\n}"), ("async function _() {\n", "\n}")],
    "go": [("", ""), ("func _() {\n", "\n}"), ("type _ struct {\n", "\n}"), ("const (\n", "\n)")],
    "rust": [("", ""), ("impl _X {\n", "\n}"), ("struct _X {\n", "\n}"), ("enum _X {\n", "\n}")],
    "java": [("", ""), ("class _ {\n", "\n}"), ("class _ { void _() {\n", "\n} }"), ("enum _ {\n", "\n}")],
    "c": [("", ""), ("void _() {\n", "\n}"), ("struct _ {\n", "\n};"), ("enum _ {\n", "\n};")],
    "cpp": [("", ""), ("class _ {\n", "\n};"), ("void _() {\n", "\n}"), ("enum _ {\n", "\n};")],
    "c_sharp": [("", ""), ("class _ {\n", "\n}"), ("class _ { void _() {\n", "\n} }"), ("enum _ {\n", "\n}")],
    "ruby": [("", "")],
    "php": [("", ""), ("<?php\n", ""), ("<?php\nclass _ {\n", "\n}"), ("<?php\nenum _ {\n", "\n}")],
}
_AROUND["typescript"] = [*_AROUND["javascript"], ("interface _ {\n", "\n}"), ("enum _ {\n", "\n}")]
_AROUND["tsx"] = _AROUND["typescript"]
_IFS = {"if_statement", "if_expression", "if"}
_HOISTED = {"statement_list"}
_NESTED = {"union_type"}
# Blocks that end with their last statement, so that a comment on its line falls outside.
_OPEN_ENDED = {
    "body_statement", "then", "else", "block_body", "expression_case", "default_case", "type_case", "case_statement",
    "switch_case", "switch_default", "default_statement", "switch_section", "switch_block_statement_group", "when",
    "communication_case", "case_body",
}  # fmt: skip
_LABELLED = _OPEN_ENDED - {"body_statement", "then", "block_body", "when"}
_UNSPLICEABLE = {"heredoc_body", "heredoc_beginning"}


class Node:
    """`kind` is the grammar's type; `field` its role in the parent, or "". What is below it is looked at when somebody
    asks: most of a snippet is the same in all three versions, and nobody does. `region` and `effects` are what others
    found in it."""

    __slots__ = (
        "_kids", "_source", "comment", "data", "effects", "end", "field", "kind", "named", "region", "start",
    )  # fmt: skip

    def __init__(
        self, data: bytes, kind: str, field: str, named: bool, start: int, end: int, kids: list[Node] | None = None,
        source: Source | None = None,
    ) -> None:  # fmt: skip
        self.data = data
        self.kind = kind
        self.field = field
        self.named = named
        self.start = start
        self.end = end
        self.comment = named and "comment" in kind
        self.region: tuple[Shape, Region] | None = None
        self.effects: Effects | None = None
        self._kids = kids
        self._source = source

    @property
    def kids(self) -> list[Node]:
        if self._kids is None:
            self._kids = _below(self, self._source) if self._source is not None else []
        return self._kids

    @kids.setter
    def kids(self, kids: list[Node]) -> None:
        self._kids = kids

    @property
    def text(self) -> bytes:
        return self.data[self.start : self.end]

    def walk(self) -> Iterator[Node]:
        todo = [self]
        while todo:
            node = todo.pop()
            yield node
            todo += reversed(node.kids)

    def get(self, name: str) -> Node | None:
        for kid in self.kids:
            if kid.field == name:
                return kid
        return None


@dataclass(frozen=True)
class Trees:
    """The three versions, each inside of the same wrapping."""

    before: bytes
    after: bytes
    nodes: tuple[Node, Node, Node]


def trees(texts: tuple[bytes, bytes, bytes], language: str) -> Trees | None:
    """None when there is no wrapping in which all three parse without an error."""
    for before, after in _AROUND.get(language, ()):
        nodes = [tree(before.encode() + text + after.encode(), language) for text in texts]
        base, ours, theirs = nodes
        if base and ours and theirs:
            return Trees(before.encode(), after.encode(), (base, ours, theirs))
    return None


def parses(data: bytes, language: str) -> bool:
    parsed = parse(data, language)
    return parsed is not None and not parsed.root_node.has_error


def tree(data: bytes, language: str) -> Node | None:
    """None when it does not parse, is too large or can't be taken apart."""
    parsed = parse(data, language) if len(data) <= MAX_BYTES else None
    if parsed is None or parsed.root_node.has_error:
        return None
    if _too_deep(parsed.root_node):
        return None
    try:
        root = _made(parsed.root_node, "", data, language == "python")
        kids = root.kids
    except RecursionError:
        return None
    if language == "php" and kids and kids[0].kind == "text" and not data.startswith(b"<?"):
        return None
    if b"<<" in data and any(node.kind in _UNSPLICEABLE for node in root.walk()):
        return None
    root.start, root.end = 0, len(data)
    return root


def _too_deep(root: tree_sitter.Node) -> bool:
    """A node is nowhere deeper than it has nodes below it, so that only a few are looked at."""
    todo = [(root, MAX_DEPTH)]
    while todo:
        node, left = todo.pop()
        if node.descendant_count > left:
            if not left:
                return True
            todo += [(child, left - 1) for child in node.children]
    return False


def _made(node: tree_sitter.Node, field_name: str, data: bytes, python: bool) -> Node:
    start, end = node.start_byte, node.end_byte
    made = Node(data, node.type, field_name, node.is_named, start, end, source=(node, python))
    if made.comment:
        made.end = start + len(data[start:end].rstrip(b"\r\n"))
        made.kids = []
        return made
    if start < end and data[end - 1] in _BLANKS and made.kids and not data[made.kids[-1].end : end].strip():
        made.end = made.kids[-1].end  # some nodes include the end of their line
    return _chain(made) if made.kind in _IFS and made.named and made.kids else made


def _below(parent: Node, source: Source) -> list[Node]:
    node, python = source
    kids: list[Node] = []
    for number, child in enumerate(node.children):
        kid = _made(child, node.field_name_for_child(number) or "", parent.data, python)
        if kid.kind in _HOISTED or (kid.kind == parent.kind and kid.kind in _NESTED):
            kids += kid.kids
        elif kid.named or kid.text.strip():
            kids += _without_comma(kid)
    return _with_handlers(parent, _with_body_apart(parent, _absorbed(kids, python)))


def _without_comma(kid: Node) -> list[Node]:
    """Rust has the comma behind an arm inside of the arm."""
    if kid.kind != "match_arm" or not kid.kids or kid.kids[-1].kind != ",":
        return [kid]
    comma = kid.kids.pop()
    kid.end = kid.kids[-1].end
    return [kid, comma]


def _with_body_apart(node: Node, kids: list[Node]) -> list[Node]:
    """With the statements of a case or an `else` that stand beside its label in a node of their own."""
    if node.kind not in _LABELLED or not node.named:
        return kids
    ends = [n for n, kid in enumerate(kids) if not kid.named and kid.kind in (":", "else")]
    if not ends or len(kids) == ends[-1] + 1:
        return kids
    rest = kids[ends[-1] + 1 :]
    body = Node(node.data, "case_body", "body", True, rest[0].start, rest[-1].end, rest)
    return [*kids[: ends[-1] + 1], body]


def _with_handlers(node: Node, kids: list[Node]) -> list[Node]:
    """With the `except`s of a `try` in Python in a node of their own, so that they are a list."""
    places = [n for n, kid in enumerate(kids) if kid.kind == "except_clause"] if node.kind == "try_statement" else []
    if not places:
        return kids
    some = kids[places[0] : places[-1] + 1]
    handlers = Node(node.data, "handlers", "", True, some[0].start, some[-1].end, some)
    return [*kids[: places[0]], handlers, *kids[places[-1] + 1 :]]


def _absorbed(kids: list[Node], python: bool) -> list[Node]:
    """With comments that end or follow an open-ended block at its own depth put back into it."""
    kept: list[Node] = []
    for kid in kids:
        chain = _open_end(kept[-1], python) if kept and kid.comment else []
        if chain and _belongs(kid, chain[-1]):
            chain[-1].kids.append(kid)
            for each in chain:
                each.end = kid.end
        else:
            kept.append(kid)
    return kept


def _open_end(node: Node, python: bool) -> list[Node]:
    """The nodes from this one down to the innermost open-ended block that ends with it."""
    path = [node]
    while path[-1].kids and path[-1].kids[-1].named and path[-1].kids[-1].end == node.end:
        path.append(path[-1].kids[-1])
    depths = [n for n, each in enumerate(path) if each.kind in _OPEN_ENDED or (python and each.kind == "block")]
    return path[: depths[-1] + 1] if depths else []


def _belongs(comment: Node, block: Node) -> bool:
    if b"\n" not in comment.data[block.end : comment.start]:
        return True
    first = next((kid for kid in block.kids if kid.named and not kid.comment), None)
    return first is not None and block.kind in ("block", "body_statement") and _column(comment) >= _column(first)


def _column(node: Node) -> int:
    return node.start - (node.data.rfind(b"\n", 0, node.start) + 1)


def _chain(node: Node) -> Node:
    branches, tail = _branches(node.kids)
    made = [Node(node.data, "branch", "", True, kids[0].start, kids[-1].end, kids) for kids in branches]
    return Node(node.data, "chain", node.field, True, node.start, node.end, [*made, *tail])


def _branches(kids: list[Node]) -> tuple[list[list[Node]], list[Node]]:
    """Each branch's nodes, and what follows the last one."""
    at = next((n for n, kid in enumerate(kids) if _alternative(kid)), len(kids))
    if at == len(kids):
        ended = bool(kids) and kids[-1].kind == "end" and not kids[-1].named
        return ([kids[:-1]], kids[-1:]) if ended else ([kids], [])
    while at and kids[at - 1].comment:
        at -= 1
    branches, pending = [kids[:at]], list[Node]()
    tail: list[Node] = []
    for kid in kids[at:]:
        if kid.comment or (kid.kind == "else" and not kid.named):
            pending.append(kid)
        elif _alternative(kid):
            inner, rest = _inner(kid)
            branches += [pending + inner[0], *inner[1:]]
            pending, tail = [], tail + rest
        else:
            tail.append(kid)
    return branches, pending + tail


def _inner(kid: Node) -> tuple[list[list[Node]], list[Node]]:
    if kid.kind == "chain":
        return [list(branch.kids) for branch in kid.kids if branch.kind == "branch"], [
            each for each in kid.kids if each.kind != "branch"
        ]
    if kid.kids and kid.kids[-1].kind == "chain" and len(kid.kids) == 2:  # else_clause(else, if)
        inner, rest = _inner(kid.kids[-1])
        return [kid.kids[:1] + inner[0], *inner[1:]], rest
    if kid.kind == "elsif":
        return _branches(kid.kids)
    if kid.kind in ("block", "statement_block", "compound_statement") or not kid.kids:
        return [[kid]], []
    return [kid.kids], []


def _alternative(kid: Node) -> bool:
    return kid.field == "alternative" or (kid.kind == "else" and not kid.named)


def named(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


def words(data: bytes) -> list[bytes]:
    """Everything but blanks and separators, to count whether a merge keeps all."""
    return re.findall(rb"\w+|[^\w\s,;]", data)
