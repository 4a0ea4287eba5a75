"""What a piece of code reads, writes, calls and leaves, by its names alone: enough to say that two are strangers.

A name is a path: `self.x` is ("self", "x"), `d["x"]` is ("d", '["x"]'). Two paths touch when one begins with the other.
Functions and classes count with what they mention, not with what they do, as they only run later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from intarsia.code.inside.kinds import CLASSES, FUNCTIONS
from intarsia.code.inside.syntax import Node, named

Path = tuple[bytes, ...]
_ACCESS = named(
    "attribute member_expression field_expression selector_expression field_access member_access_expression"
    " subscript subscript_expression index_expression element_access_expression element_reference array_access"
    " optional_chain conditional_access_expression scoped_property_access_expression"
    " class_constant_access_expression"
)
_INDEXED = named(
    "subscript subscript_expression index_expression element_access_expression element_reference array_access"
)
_NAMES = named(
    "identifier type_identifier field_identifier property_identifier shorthand_property_identifier constant name"
    " shorthand_property_identifier_pattern package_identifier namespace_identifier instance_variable"
    " global_variable class_variable variable_name statement_identifier dotted_name this self super"
    " private_property_identifier operator_name implicit_type hash_key_symbol simple_symbol scoped_identifier"
    " qualified_identifier qualified_name scope_resolution scoped_type_identifier nested_identifier predefined_type"
    " primitive_type"
)
_TYPES = named("implicit_type predefined_type primitive_type hash_key_symbol simple_symbol operator_name")
_CALLS = named(
    "call call_expression method_invocation invocation_expression function_call_expression member_call_expression"
    " scoped_call_expression nullsafe_member_call_expression macro_invocation new_expression"
    " object_creation_expression explicit_constructor_invocation"
)
_TARGETS = {
    **dict.fromkeys(
        named(
            "assignment augmented_assignment assignment_expression augmented_assignment_expression operator_assignment"
            " compound_assignment_expr assignment_statement short_var_declaration for_statement for_in_statement for"
            " range_clause foreach_statement receive_statement reference_assignment_expression for_in_clause"
        ),
        "left",
    ),
    **dict.fromkeys(named("let_declaration for_expression required_parameter optional_parameter parameter"), "pattern"),
    **dict.fromkeys(named("let_condition"), "pattern"),
    **dict.fromkeys(
        named(
            "init_declarator declaration field_declaration parameter_declaration optional_parameter_declaration"
            " for_range_loop type_definition"
        ),
        "declarator",
    ),
    **dict.fromkeys(named("as_pattern import_specifier"), "alias"),
}
_DECLARING = re.compile(
    r"_(declaration|definition|item|spec|declarator|parameter|element|alias|signature|statement|constant|case|variant"
    r"|member_declaration|def|elem)$|^(enumerator|named_expression|parameter|const_element|case)$"
)
_UPDATES = named(
    "update_expression inc_statement dec_statement postfix_unary_expression prefix_unary_expression"
    " delete_statement unset_statement global_statement nonlocal_statement global_declaration delete_expression"
)
_EXITS = named(
    "return_statement return raise_statement throw_statement throw_expression throw break_statement break"
    " continue_statement continue goto_statement break_expression continue_expression return_expression"
    " try_expression next redo retry fallthrough_statement labeled_statement exit_statement yield_statement"
    " co_return_statement"
)
_ORDERED = named("yield yield_expression defer_statement co_yield_statement await_expression await go_statement")
_QUITTERS = frozenset(b"exit _exit abort die panic quit fatal fail bail unreachable todo unimplemented os_exit".split())
# Calls that change what they are called on, or what they are given.
_CHANGING = frozenset(
    b"clear sort reverse pop remove delete discard update reset close truncate drain shift unshift splice free destroy"
    b" drop dispose release shutdown rename move swap shuffle retain dedup".split()
)
# Statements that have an effect and no name.
_SPEAKING = named(
    "send_statement echo_statement print_intrinsic exec_statement binary_expression binary binary_operator"
    " include_expression include_once_expression require_expression require_once_expression"
)
_BODIES = named(
    "block statement_block compound_statement body_statement block_body then else chain branch case_body program"
    " module source_file translation_unit compilation_unit global_statement class_body declaration_list begin"
    " do_block try_statement for_statement while_statement with_statement for_in_statement enhanced_for_statement"
    " if_statement for_expression while_expression for_range_loop foreach_statement switch_case case_statement for"
    " while do except_clause finally_clause catch_clause else_clause statement_list try_block switch_block"
    " switch_body switch_statement match_statement case_clause expression_case default_case loop_expression"
    " defer_statement go_statement expression_switch_statement switch_section when case"
    " switch_block_statement_group labeled_statement do_statement until unless if_modifier unless_modifier rescue"
    " ensure using_statement lock_statement"
)
_IMPORTS = named(
    "import_statement import_from_statement import_declaration import_spec use_declaration using_directive"
    " namespace_use_declaration future_import_statement preproc_include use_clause package_clause"
)


@dataclass(frozen=True)
class Call:
    """`verb` is the first word of the called name; `effect` says that the result is thrown away."""

    path: Path
    verb: bytes
    effect: bool
    node: Node

    @property
    def receiver(self) -> Path:
        return self.path[:-1]


@dataclass(slots=True)
class Effects:
    reads: set[Path] = field(default_factory=set)
    writes: set[Path] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    exits: int = 0
    ordered: bool = False

    @property
    def names(self) -> set[Path]:
        return self.reads | self.writes


def effects(nodes: list[Node], *, parameters: bool = False) -> Effects:
    """Not to be changed: of one node they are found once."""
    if len(nodes) != 1 or parameters:
        return _effects(nodes, parameters)
    if nodes[0].effects is None:
        nodes[0].effects = _effects(nodes, False)
    return nodes[0].effects


def _effects(nodes: list[Node], parameters: bool) -> Effects:
    found = Effects()
    for node in nodes:
        if parameters:
            found.writes.update(_bound_by_parameter(node))
        _visit(node, found, True)
    return found


def touching(a: set[Path], b: set[Path]) -> bool:
    """Whether a path of the one begins with a path of the other."""
    return bool(_prefixes(a) & b) or bool(_prefixes(b) & a)


def clashing(a: Effects, b: Effects) -> bool:
    """Whether one writes what the other reads or writes."""
    return touching(a.writes, b.names) or touching(b.writes, a.names)


def leaves(node: Node) -> bool:
    """Whether what follows it in the same body never runs."""
    last = node
    while last.kind == "expression_statement" and last.kids and last.kids[0].named:
        last = last.kids[0]
    if last.kind in _EXITS and last.kind not in ("try_expression", "labeled_statement", "yield_statement"):
        return True
    return last.kind in _CALLS and _quits(_call(last, True))


def _prefixes(paths: set[Path]) -> set[Path]:
    return {path[:size] for path in paths for size in range(1, len(path) + 1)}


def _visit(node: Node, found: Effects, statement: bool) -> None:
    kind = node.kind
    if node.comment:
        return
    if kind in _IMPORTS and node.named:
        found.writes.update(_imported(node))
    elif (kind in FUNCTIONS or kind in CLASSES) and node.named:
        _visit_definition(node, found)
    elif kind in _CALLS and node.named:
        _visit_call(node, found, statement)
    elif kind in _ACCESS or (kind in _NAMES and node.named):
        _visit_name(node, found)
    elif not node.kids:
        found.reads.update((word,) for word in _interpolated(node))
    else:
        _visit_other(node, found, statement)


def _visit_other(node: Node, found: Effects, statement: bool) -> None:
    if node.named:
        found.exits += node.kind in _EXITS
        found.ordered |= node.kind in _ORDERED or (statement and node.kind in _SPEAKING)
    for target in _targets(node):
        _write(target, found)
    inner = statement and node.kind == "expression_statement"
    body = node.kind in _BODIES or (node.kind == "run" and statement)
    for kid in node.kids:
        _visit(kid, found, inner or body)


def _visit_definition(node: Node, found: Effects) -> None:
    name = _defined(node)
    if name is not None and name.named:
        found.writes.add((name.text,))
    inside = Effects()
    for kid in node.kids:
        if kid is not name:
            _visit(kid, inside, False)
    found.reads |= inside.names


def _defined(node: Node) -> Node | None:
    name = node.get("name") or node.get("declarator")
    while name is not None and name.get("declarator") is not None:
        name = name.get("declarator")
    return name


def _visit_call(node: Node, found: Effects, statement: bool) -> None:
    call = _call(node, statement)
    found.calls.append(call)
    found.exits += _quits(call)
    if call.verb in _CHANGING:
        found.writes.update(_changed(call))
    if call.path:
        found.reads.add(call.path)
    for kid in node.kids:
        if kid.field in ("function", "method", "name", "macro", "constructor", "type") and kid.kind in _NAMES:
            continue
        if kid.field in ("object", "receiver", "function") and path(kid) and kid.kind not in _CALLS:
            continue
        _visit(kid, found, False)


def _changed(call: Call) -> list[Path]:
    if call.receiver:
        return [call.receiver]
    held = call.node.get("arguments")
    given = [path(kid) for kid in held.kids if kid.named] if held is not None else []
    return [each for each in given[:1] if each]


def _call(node: Node, statement: bool) -> Call:
    callee = node.get("function") or node.get("macro") or node.get("constructor") or node.get("type")
    receiver = node.get("receiver") or node.get("object") or node.get("scope")
    method = node.get("method") or node.get("name")
    if callee is not None:
        spelled = path(callee) or ()
    else:
        spelled = (*((path(receiver) or (b"?",)) if receiver else ()), *((method.text,) if method else ()))
    verb = _verb(spelled[-1]) if spelled else b""
    return Call(spelled, verb, statement, node)


def _verb(name: bytes) -> bytes:
    last = re.split(rb"::|\\", name)[-1].lstrip(b"_$@")
    found = re.match(rb"[A-Z]?[a-z0-9]+|[A-Z]+", last)
    return found.group().lower() if found else last.lower()


def _quits(call: Call) -> bool:
    return call.verb in _QUITTERS


def _visit_name(node: Node, found: Effects) -> None:
    if node.kind in _TYPES:
        return
    spelled = path(node)
    if spelled:
        found.reads.add(spelled)
    if node.kind in _ACCESS:
        named = [kid for kid in node.kids if kid.named]
        for kid in named if spelled is None else named[1:] if node.kind in _INDEXED else []:
            _visit(kid, found, False)


def _write(node: Node, found: Effects) -> None:
    if node.comment or not node.named:
        return
    spelled = path(node)
    if spelled:
        found.writes.add(spelled)
        return
    if node.kind in ("function_declarator", "array_declarator", "pointer_declarator", "init_declarator"):
        inner = node.get("declarator")
        if inner is not None:
            _write(inner, found)
        return
    for kid in node.kids:
        _write(kid, found)


def path(node: Node) -> Path | None:
    """The name that a node spells; up to the first index that is not a literal; None when it is no name."""
    if node.kind in _ACCESS:
        named = [kid for kid in node.kids if kid.named and not kid.comment]
        if len(named) < 2:
            return None
        root = path(named[0])
        if root is None:
            return None
        if node.kind not in _INDEXED:
            return (*root, named[-1].text)
        index = named[-1]
        literal = re.fullmatch(rb"\[?[\"'](\w[\w./-]*)[\"']\]?|\[?(\d+)\]?", index.text)
        return (*root, b"[" + (literal[1] or literal[2]) + b"]") if literal else root
    if node.named and node.kind in _NAMES and node.kind not in _TYPES:
        return tuple(node.text.split(b".")) if node.kind == "dotted_name" else (node.text,)
    return None


def _targets(node: Node) -> list[Node]:
    if not node.named:
        return []
    if node.kind in _UPDATES:
        stepped = node.kind.endswith("unary_expression")
        return [] if stepped and b"++" not in node.text and b"--" not in node.text else node.kids
    name = _TARGETS.get(node.kind)
    found = [kid for kid in node.kids if name and kid.field == name]
    if _DECLARING.search(node.kind):
        found += [kid for kid in node.kids if kid.field == "name"]
    return found


def _bound_by_parameter(node: Node) -> list[Path]:
    if node.kind in _NAMES:
        return [(node.text,)]
    name = node.get("name") or node.get("pattern") or node.get("declarator") or node.get("left")
    if name is None:
        name = next((kid for kid in node.kids if kid.named and kid.kind in _NAMES), None)
    if name is None:
        return []
    return [(each.text,) for each in name.walk() if each.kind in _NAMES and not each.kids]


def _imported(node: Node) -> set[Path]:
    """The names that an import binds; of `import a.b` the whole path, as `import a.c` binds the same module."""
    found: set[Path] = set()
    if node.kind in ("preproc_include", "package_clause") or (node.kind == "using_directive" and b"=" not in node.text):
        return found
    for each in node.walk():
        alias = each.get("alias") or (each.get("name") if each.kind == "import_spec" else None)
        if alias is not None:
            found.add((alias.text,))
    bare = [kid for kid in node.kids if kid.field not in ("module_name", "source")]
    for kid in bare:
        found.update(_bound_names(kid))
    return found


def _bound_names(node: Node) -> set[Path]:
    if node.kind in ("aliased_import", "use_as_clause") or node.get("alias") is not None:
        return set()
    if node.kind == "dotted_name":
        return {tuple(node.text.split(b"."))}
    if node.kind in ("scoped_identifier", "qualified_name"):
        return {(re.split(rb"::|\.|\\", node.text)[-1],)}
    if node.kind == "interpreted_string_literal":
        return {(node.text.strip(b'"').split(b"/")[-1],)}
    if node.kind in _NAMES:
        return {(node.text,)} if not node.kids else {(re.split(rb"::|\.|\\", node.text)[-1],)}
    if node.kind in ("scoped_use_list", "import_clause", "named_imports", "namespace_use_group", "use_list"):
        kids = [kid for kid in node.kids if kid.field != "path"]
    else:
        kids = node.kids
    return {name for kid in kids for name in _bound_names(kid)}


def _interpolated(node: Node) -> list[bytes]:
    """Names inside of a format string, as Rust has them."""
    if "string" not in node.kind:
        return []
    return re.findall(rb"\{([a-z_]\w*)[:}]", node.text)
