"""What a node of a syntax tree is called, and what that makes in a key.

A key is the names of a unit and of what contains it, joined by dots: `Class.method`. In each name the characters that
mean something in the URI of a resource (`.`, `/`, `#`, `%`) and those that cannot be printed are percent-encoded, as
UTF-8; runs of blanks are one space; what is longer than 80 characters is cut, and ends in `~` and a digest of it all.
What has no name is called by its kind, in parentheses: `(comment)`. The second unit of a key gets `#2`, the third `#3`.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from intarsia.code.languages import grammar, words

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_NAME = 80
_LONG = 400  # bytes looked at of a name that is a piece of code
_ODD = re.compile(r"[%./#]|^\(")
_RUBY_IMPORTS = frozenset({"require", "require_relative", "load", "autoload"})
_ACCESSOR = re.compile(rb"@[\w.]+\.(setter|deleter|getter)\b")
_RECEIVER = re.compile(r"([A-Za-z_]\w*)\s*(?:\[.*)?\)\s*$", re.DOTALL)
_DESCEND = words(
    "pointer_declarator function_declarator array_declarator init_declarator parenthesized_declarator"
    " reference_declarator attributed_declarator variable_declarator variable_declaration const_spec var_spec"
    " const_element property_element assignment"
)
_WITH_HEADER = words(
    "if_statement for_statement while_statement with_statement try_statement match_statement for_in_statement"
    " switch_statement foreach_statement lock_statement if unless while until for"
)
CALLS = words(
    "call call_expression function_call_expression method_invocation invocation_expression member_call_expression"
    " scoped_call_expression"
)
_LABELS = words(
    "string template_string string_literal interpreted_string_literal raw_string_literal encapsed_string simple_symbol"
    " constant scope_resolution"
)


class Naming:
    """Names in one language; a field's number is found once."""

    def __init__(self, language: str) -> None:
        known = grammar(language)
        self.language = language
        self.kinds = [known.node_kind_for_id(number) or "" for number in range(known.node_kind_count)]

        def numbers(names: str) -> list[int]:
            return [number for name in names.split() if (number := known.field_id_for_name(name)) is not None]

        self.binders = numbers("name declarator left pattern property")
        self.values = numbers("right value default_value")
        self.bodies = numbers("body consequence block accessors")
        self.callees = numbers("function method name")
        self.arguments = numbers("arguments")
        self.conditions = numbers("name condition")
        self.wrapped = numbers("definition declaration")

    def kind(self, node: Node) -> str:
        number = node.kind_id
        return self.kinds[number] if number < len(self.kinds) else "ERROR"

    def field(self, node: Node, numbers: list[int]) -> Node | None:
        for number in numbers:
            found = node.child_by_field_id(number)
            if found is not None:
                return found
        return None


@cache
def naming(language: str) -> Naming:
    return Naming(language)


def text(data: bytes, start: int, end: int) -> str:
    """A piece of code as one line, cut when long."""
    return " ".join(data[start : min(end, start + _LONG)].decode("utf-8", "replace").split())


def escape(name: str) -> str:
    """A name as a part of a key; see above."""
    if name.isidentifier() and name.isprintable() and len(name) <= MAX_NAME:
        return name
    name = " ".join(name.split())
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME - 9]}~{blake2b(name.encode('utf-8', 'replace'), digest_size=4).hexdigest()}"
    if not name.isprintable():
        name = "".join(char if char.isprintable() and char != "%" else _percent(char) for char in name)
        return re.sub(r"[./#]|^\(", lambda found: _percent(found[0]), name)
    return _ODD.sub(lambda found: _percent(found[0]), name)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def import_key(name: str) -> str:
    """Imports are never locked by name, so that only their ordinals must stand out."""
    return "import " + re.sub(r"[%#]", lambda found: _percent(found[0]), name)


def describe(names: Naming, data: bytes, outer: Node, inner: Node, kind: str) -> tuple[str, str, int]:
    """The name of a definition, its part of the key, and where its body or value begins, or 0.

    `inner` is what stands inside of the wrapper `outer`: the function below the decorators.
    """
    special = _SPECIAL.get(kind)
    if special:
        name = special(names, data, inner)
        return name, escape(name) if name else "", _signature(names, inner, None)
    if kind in CALLS:
        name = _call(names, data, inner)
        return name, escape(name) if name else "", _call_body(names, inner)
    binder, named = _named(names, inner)
    if named is None:
        return "", "", _signature(names, inner, None)
    name = _text_of(names, data, binder, named)
    return name, _key(names, data, outer, inner, kind, name), _signature(names, inner, binder)


def import_name(names: Naming, data: bytes, node: Node) -> str:
    """What is imported from where, without the list of names, so that it stays when the list changes."""
    if names.kind(node) == "future_import_statement":
        return "__future__"
    for field in ("source", "module_name", "path", "argument"):
        found = node.child_by_field_name(field)
        if found is not None:
            said = text(data, found.start_byte, found.end_byte).partition("{")[0].strip("\"'`<>:")
            return f"export {said}" if names.kind(node) == "export_statement" else said
    said = text(data, node.start_byte, node.end_byte).rstrip(";").partition("{")[0].partition("(")[0].strip()
    return said.partition(" ")[2].strip("\"'") if " " in said else "()"


def is_import(names: Naming, data: bytes, node: Node) -> bool:
    """Ruby imports by calls."""
    if names.language != "ruby" or data[node.start_byte] not in b"rla":
        return False
    callee = node.child_by_field_name("method")
    return callee is not None and text(data, callee.start_byte, callee.end_byte) in _RUBY_IMPORTS


def _named(names: Naming, node: Node) -> tuple[Node, Node | None]:
    """The node that bears the name, and the name: a declaration may hold it some levels down."""
    found = None
    binder = node
    if is_nameless(names.kind(node)):
        return node, None
    for _ in range(12):
        found = names.field(node, names.binders) or _first_binder(names, node)
        if found is None or names.kind(found) not in _DESCEND:
            return binder, found
        node = found
        binder = node if names.kind(binder) != "init_declarator" else binder
    return binder, found


def _first_binder(names: Naming, node: Node) -> Node | None:
    kind = names.kind(node)
    if "identifier" in kind or kind in ("name", "constant"):
        return node
    children = [(child, names.kind(child)) for child in node.named_children[:4]]
    for child, below in children:
        if below in _DESCEND:
            return child
    for child, below in children:
        if below in ("name", "identifier", "constant") or below.endswith("_identifier"):
            return child
    declared = node.child_by_field_name("type")  # C++: a class inside of a class is the type of a field without a name
    return declared.child_by_field_name("name") if declared is not None and _is_specifier(names, declared) else None


def _is_specifier(names: Naming, node: Node) -> bool:
    return names.kind(node).endswith("_specifier") and node.child_by_field_name("body") is not None


@cache
def is_nameless(kind: str) -> bool:
    return kind in _NAMELESS or (kind.endswith("_expression") and "assignment" not in kind)


_NAMELESS = words(
    "string call block expression_statement return_statement echo_statement delete_statement pass_statement"
    " package_clause package_declaration using_statement static_initializer preproc_call ERROR if_modifier"
    " unless_modifier while_modifier until_modifier rescue_modifier friend_declaration"
)


def _text_of(names: Naming, data: bytes, binder: Node, named: Node) -> str:
    kind = names.kind(named)
    if kind in ("object_pattern", "array_pattern"):
        value = names.field(binder, names.values)
        return "{}=" + (text(data, value.start_byte, value.end_byte) if value is not None else "")
    start, end = named.start_byte, named.end_byte
    if kind == "operator_cast":
        return text(data, start, end).partition("(")[0]
    if kind == "function_declarator":  # C++ operators and constructors
        parameters = named.child_by_field_name("parameters")
        end = parameters.start_byte if parameters is not None else end
    return text(data, start, end)


def _key(names: Naming, data: bytes, outer: Node, inner: Node, kind: str, name: str) -> str:
    part = escape(name)
    if names.language == "python" and outer.start_byte != inner.start_byte:
        accessor = _ACCESSOR.search(data[outer.start_byte : inner.start_byte])
        return f"{part}.{accessor[1].decode()}" if accessor else part
    if names.language == "go" and kind == "method_declaration":
        receiver = inner.child_by_field_name("receiver")
        found = _RECEIVER.search(text(data, receiver.start_byte, receiver.end_byte)) if receiver is not None else None
        return f"{escape(found[1])}.{part}" if found else part
    if kind == "destructor_declaration":
        return "~" + part
    return part


# Their fields are what others use of them.
_ALL_SIGNATURE = words(
    "struct_specifier union_specifier enum_specifier class_specifier struct_item union_item enum_variant"
    " type_alias_declaration type_item type_spec const_declaration"
)


def _signature(names: Naming, node: Node, binder: Node | None) -> int:
    if names.kind(node) in _ALL_SIGNATURE:
        return 0
    body = names.field(node, names.bodies)
    if body is None and binder is not None and "type" not in names.kind(binder):
        value = names.field(binder, names.values)
        body = value if value is None else names.field(value, names.bodies) or value
    return body.start_byte if body is not None else 0


def _call(names: Naming, data: bytes, node: Node) -> str:
    """`it "adds"` of `it("adds", () => …)`: calls that say what they define in their first argument have a name."""
    callee = names.field(node, names.callees)
    arguments = names.field(node, names.arguments)
    if callee is None or arguments is None:
        return ""
    label = next(iter(arguments.named_children[:1]), None)
    if label is not None and names.kind(label) == "argument":
        label = label.named_child(0)
    if label is not None and names.kind(label) == "pair":  # Ruby: task :one => :two
        label = label.named_child(0)
    if label is None or names.kind(label) not in _LABELS:
        return ""
    return f"{text(data, node.start_byte, callee.end_byte)} {text(data, label.start_byte, label.end_byte)}"


def _call_body(names: Naming, node: Node) -> int:
    block = call_block(names, node)
    return block.start_byte if block is not None else 0


def call_block(names: Naming, node: Node) -> Node | None:
    """The body of the function that a call is given, or that it calls at once."""
    block = node.child_by_field_name("block")
    if block is not None:
        return block.child_by_field_name("body")
    arguments = names.field(node, names.arguments)
    given = arguments.named_children[-2:] if arguments is not None else []
    callee = names.field(node, names.callees)
    if callee is not None and names.kind(callee) == "parenthesized_expression":
        given = [*given, *callee.named_children[:1]]
    for one in reversed(given):
        function = one.named_child(0) if names.kind(one) == "argument" else one
        body = function.child_by_field_name("body") if function is not None else None
        if body is not None and names.kind(body) in ("statement_block", "compound_statement", "block"):
            return body
    return None


def _impl(names: Naming, data: bytes, node: Node) -> str:
    body = node.child_by_field_name("body")
    said = text(data, node.start_byte, body.start_byte if body is not None else node.end_byte)
    return said.partition(" where ")[0].rstrip("; ")


def _macro(names: Naming, data: bytes, node: Node) -> str:
    macro = node.child_by_field_name("macro")
    return text(data, macro.start_byte, macro.end_byte) + "!" if macro is not None else ""


def _header(names: Naming, data: bytes, node: Node) -> str:
    body = names.field(node, names.bodies)
    end = body.start_byte if body is not None else node.end_byte
    return text(data, node.start_byte, end).rstrip(" :{")


def _operator(names: Naming, data: bytes, node: Node) -> str:
    sign = node.child_by_field_name("operator") or node.child_by_field_name("type")
    return f"operator {text(data, sign.start_byte, sign.end_byte)}" if sign is not None else "operator"


def _clause(names: Naming, data: bytes, node: Node) -> str:
    return text(data, node.start_byte, node.end_byte).rstrip(";")


_SPECIAL = {
    "impl_item": _impl,
    "singleton_class": _impl,
    "macro_invocation": _macro,
    "operator_declaration": _operator,
    "conversion_operator_declaration": _operator,
    "indexer_declaration": lambda names, data, node: "this[]",
    **dict.fromkeys(_WITH_HEADER, _header),
    **dict.fromkeys(("using_declaration", "use_declaration", "access_specifier", "inner_attribute_item"), _clause),
}
