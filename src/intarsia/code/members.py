"""Where the members of a container are: classes, namespaces, groups, `#ifdef`, blocks of tests."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from intarsia.code.languages import words
from intarsia.code.naming import call_block, describe
from intarsia.code.roles import CALL, COMMENT

if TYPE_CHECKING:
    from tree_sitter import Node

    from intarsia.code.splitter import Splitter

_GO_GROUPS = words("const_declaration var_declaration type_declaration import_declaration")
_DEFINITION = re.compile(r".*(?:function|method|class|interface|struct|enum|module)_?(?:definition|declaration|item)?")


class Inside(NamedTuple):
    """The nodes of a container's members, where they may begin, and where its footer begins, or a place behind it when
    it has none."""

    nodes: list[Node]
    low: int
    close: int


def bounds(splitter: Splitter, node: Node, role: int) -> Inside | None:
    """None for what has no members."""
    kind = splitter.names.kind(node)
    if role == CALL:
        return _call(splitter, node)
    if kind == "ERROR":
        return _error(splitter, node)
    if kind.startswith("preproc_"):
        return _preprocessor(splitter, node)
    if kind == "enum_body_declarations":
        return Inside(node.children, node.start_byte + 1, splitter.size)
    if kind in _GO_GROUPS and splitter.names.language == "go":
        return _go_group(splitter, node)
    body = node.child_by_field_name("body")
    if splitter.python or splitter.ruby:
        return _indented(splitter, node, body)
    if body is None and kind == "type_spec":
        body = _go_type_body(splitter.names.kind, node)
    return _bracketed(splitter.data, body) if body is not None else None


def _bracketed(data: bytes, body: Node) -> Inside | None:
    start, end = body.start_byte, body.end_byte
    if not data.startswith(b"{", start):
        return None
    return Inside(body.children, start + 1, end - 1 if data.endswith(b"}", start + 1, end) else end)


def _indented(splitter: Splitter, node: Node, body: Node | None) -> Inside | None:
    """Python and Ruby; comments above the first member and below the last one are beside the body, not in it."""
    children = node.children
    close = splitter.size
    if splitter.ruby:
        last = children.pop()
        close = last.start_byte
    elif body is None:
        return None
    start = body.start_byte if body is not None else close
    before = [child for child in children if child.end_byte <= start]
    after = [child for child in children if body is not None and child.start_byte >= body.end_byte]
    header = len(before)
    while header > 1 and splitter.roles[before[header - 1].kind_id] == COMMENT:
        header -= 1
    nodes = [*before[header:], *(body.children if body is not None else []), *after]
    return Inside(nodes, before[header - 1].end_byte, close)


def _preprocessor(splitter: Splitter, node: Node) -> Inside:
    children = node.children
    header = splitter.names.field(node, splitter.names.conditions) or children[0]
    last = children[-1]
    close = last.start_byte if splitter.names.kind(last) == "#endif" else splitter.size
    return Inside(children, header.end_byte, close)


def _error(splitter: Splitter, node: Node) -> Inside | None:
    """Definitions that stand around a mistake are still units."""
    if not any(_DEFINITION.fullmatch(splitter.names.kind(child)) for child in node.named_children[:400]):
        return None
    return Inside(node.children, node.start_byte, splitter.size)


def _go_group(splitter: Splitter, node: Node) -> Inside | None:
    """`const ( … )`, unless the order of its members gives them their values."""
    data = splitter.data
    if splitter.names.kind(node) == "const_declaration" and b"iota" in data[node.start_byte : node.end_byte]:
        return None
    holder = node
    for child in node.named_children[:1]:
        holder = child if splitter.names.kind(child).endswith("_list") else node
    opening = next((child for child in holder.children if data.startswith(b"(", child.start_byte)), None)
    return Inside(holder.children, opening.end_byte, node.end_byte - 1) if opening is not None else None


def _go_type_body(kind: Callable[[Node], str], node: Node) -> Node | None:
    of = node.child_by_field_name("type")
    if of is None or kind(of) not in ("struct_type", "interface_type"):
        return None
    return of.named_child(0) if kind(of) == "struct_type" else of


def _call(splitter: Splitter, node: Node) -> Inside | None:
    """`describe("…", () => { … })` holds what it defines, when that is functions, or calls that define by a label."""
    if not splitter.has_blocks:
        return None
    block = call_block(splitter.names, node)
    if block is None or not any(_defines(splitter, child) for child in block.named_children[:400]):
        return None
    if splitter.ruby:
        return Inside(block.children, block.start_byte, node.end_byte - 3)
    return _bracketed(splitter.data, block)


def _defines(splitter: Splitter, node: Node) -> bool:
    inner, role = splitter.unwrap(node, splitter.roles[node.kind_id])
    if role != CALL:
        return _DEFINITION.fullmatch(splitter.names.kind(inner)) is not None
    if call_block(splitter.names, inner) is None:
        return False
    return bool(describe(splitter.names, splitter.data, node, inner, splitter.names.kind(inner))[0])
