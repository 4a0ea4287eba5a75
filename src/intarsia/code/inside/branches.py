"""Branches of a chain and cases of a switch: which can never both be taken.

Proven only for comparisons of one name with literals, and for constants where the language itself refuses two alike.
"""

from __future__ import annotations

import re

from intarsia.code.inside import exceptions
from intarsia.code.inside.effects import leaves, path
from intarsia.code.inside.items import Item
from intarsia.code.inside.syntax import Node, named

Label = tuple[
    bytes, str, bytes
]  # what is compared, a class of values that differ when they are spelled differently, value
_EQUAL = {"==": False, "===": True, "eql?": True}  # whether it compares without converting
_OR = {"or", "||"}
_WRAPPERS = named(
    "parenthesized_expression expression_list match_condition_list case_pattern match_pattern union_pattern"
    " or_pattern switch_label pattern constant_pattern literal_pattern argument"
)
_GUARDS = named("if when guard if_clause when_clause if_guard unless_guard unless guard_clause")
_LABEL_ENDS = named(": => -> then")
# Two cases of one constant do not compile.
_REFUSING = named("c cpp java")
# Of types that are no interfaces a value has one, and two cases of one do not compile.
_CONCRETE = named("pointer_type slice_type array_type map_type channel_type function_type struct_type")
_PREDECLARED = frozenset(
    b"bool string int int8 int16 int32 int64 uint uint8 uint16 uint32 uint64 uintptr float32 float64 complex64"
    b" complex128 byte rune".split()
)
FALLING = named("switch_case switch_default case_statement default_statement switch_block_statement_group")
_WILDCARDS = frozenset((b"_", b"default", b"else"))
_ALTERNATIVES = frozenset((",", "|", "case", "default"))


def header(item: Item) -> bytes:
    """The condition or the labels, without the body."""
    kids = item.node.kids
    body = next((kid for kid in reversed(kids) if kid.named and not kid.comment), None)
    return b" ".join(kid.text for kid in kids if kid is not body and not kid.comment)


def disjoint(a: Item, b: Item, language: str) -> bool:
    """Whether no value can take both."""
    one, two = _labels(a.node, language), _labels(b.node, language)
    if not one or not two:
        return False
    return all(_differ(x, y) for x in one for y in two)


def closed(item: Item) -> bool:
    """Whether the case can't fall through into the next."""
    if item.node.kind not in FALLING:
        return True
    last = item.node
    while last.kids and (
        last is item.node or last.kind in ("case_body", "block", "statement_block", "compound_statement")
    ):
        named = [kid for kid in last.kids if kid.named and not kid.comment]
        if not named or (last is item.node and named[-1].kind != "case_body"):
            return False
        last = named[-1]
    return leaves(last)


def catches_all(item: Item) -> bool:
    return any(kid.text in _WILDCARDS for kid in item.node.kids[:2])


def _differ(x: Label, y: Label) -> bool:
    if x[:2] != y[:2]:
        return False
    if x[1] == "exception":
        return exceptions.apart(x[2].decode(), y[2].decode())
    if x[1] == "variant":
        return x[2].split(b"::")[-1] != y[2].split(b"::")[-1]
    return x[2] != y[2]


def _labels(node: Node, language: str) -> list[Label] | None:
    if node.kind == "branch":
        return _condition(node, language)
    if node.kind == "except_clause":
        return _caught(node.get("value"))
    kids = [kid for kid in node.kids if not kid.comment]
    if any(kid.kind in _GUARDS for each in kids[1:4] for kid in (each, *each.kids)):
        return None
    if kids and kids[0].kind in ("case", "when", "switch_label"):
        kids = kids if kids[0].named else kids[1:]
    found: list[Label] = []
    for kid in kids:
        if (kid.kind in _LABEL_ENDS and kid.kind != ",") or kid.field == "body":
            break
        if not kid.named:
            continue
        label = _values(kid, language)
        if label is None:
            return None
        found += label
    return found


def _caught(node: Node | None) -> list[Label] | None:
    """The classes that an `except` names; None where one is not known."""
    if node is not None and node.kind == "as_pattern":
        node = node.kids[0]
    if node is None:
        return None
    if node.kind in ("tuple", "parenthesized_expression"):
        found = [_caught(kid) for kid in node.kids if kid.named and not kid.comment]
        return None if None in found else [each for some in found for each in some or []]
    name = node.text.decode(errors="replace")
    return [(b"", "exception", node.text)] if name in exceptions.KNOWN else None


def _values(node: Node, language: str) -> list[Label] | None:
    if node.kind in _WRAPPERS and any(kid.named for kid in node.kids):
        if any(not kid.named and kid.kind not in _ALTERNATIVES for kid in node.kids):
            return None
        found = [_values(kid, language) for kid in node.kids if kid.named]
        return None if None in found else [each for some in found for each in some or []]
    value = _literal(node) or _constant(node, language)
    return [(b"", *value)] if value else None


def _literal(node: Node) -> tuple[str, bytes] | None:
    text = node.text
    if "identifier" in node.kind:
        return None
    if re.fullmatch(rb"\"[^\"\\{}$#]*\"|'[^'\\{}$#]*'", text):
        return ("text", text[1:-1])
    return (
        ("number", text)
        if re.fullmatch(rb"0|[1-9]\d*", text)
        else (("symbol", text) if re.fullmatch(rb":\w+", text) else None)
    )


def _constant(node: Node, language: str) -> tuple[str, bytes] | None:
    if language == "go" and (node.kind in _CONCRETE or (node.kind == "type_identifier" and node.text in _PREDECLARED)):
        return ("type", b"".join(node.text.split()))
    if language in _REFUSING and (node.kind in ("identifier", "qualified_identifier", "field_access")):
        return ("constant", node.text)
    if language == "c_sharp" and node.kind == "member_access_expression":
        return ("constant", node.text)
    if language == "rust":
        kind = node.get("type") if node.kind in ("tuple_struct_pattern", "struct_pattern") else node
        if kind is not None and kind.kind in ("scoped_identifier", "scoped_type_identifier"):
            name = kind.text.split(b"::")[-1]
            return ("variant", kind.text) if name[:1].isupper() and not name.isupper() else _one_letter(kind.text, name)
    return None


def _one_letter(text: bytes, name: bytes) -> tuple[str, bytes] | None:
    return ("variant", text) if len(name) == 1 else None


def _condition(branch: Node, language: str) -> list[Label] | None:
    kids = [kid for kid in branch.kids if not kid.comment and kid.kind not in ("(", ")", ":", "if", "elif", "else")]
    tests = [kid for kid in kids if kid.named]
    if len(tests) != 2 or any(not kid.named and kid.kind not in ("elseif", "elsif") for kid in kids):
        return None
    return _comparison(tests[0], language)


def _comparison(node: Node, language: str) -> list[Label] | None:
    while node.kind in ("parenthesized_expression", "condition_clause") and len(node.kids) == 3:
        node = node.kids[1]
    if node.kind == "method_invocation":
        return _equals(node)
    if len(node.kids) != 3:
        return None
    left, operator, right = node.kids
    if operator.text.decode(errors="replace") in _OR:
        one, two = _comparison(left, language), _comparison(right, language)
        return None if one is None or two is None else one + two
    strict = _EQUAL.get(operator.text.decode(errors="replace"))
    if strict is None:
        return None
    value, subject = _literal(right) or _literal(left), left if _literal(right) else right
    if value is None or path(subject) is None:
        return None
    converts = not strict and language in ("php", "javascript", "typescript", "tsx")
    if converts and value[0] == "text" and not re.match(rb"[A-Za-z_]", value[1]):
        return None
    return [(subject.text, *value)]


def _equals(call: Node) -> list[Label] | None:
    """`name.equals("text")`."""
    subject, name, arguments = call.get("object"), call.get("name"), call.get("arguments")
    if subject is None or name is None or arguments is None or name.text != b"equals" or path(subject) is None:
        return None
    values = [kid for kid in arguments.kids if kid.named]
    value = _literal(values[0]) if len(values) == 1 else None
    return [(subject.text, *value)] if value else None
