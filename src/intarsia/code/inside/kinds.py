"""Which kinds of node are lists, bodies and independent parts, and by which rule two sides' additions meet there.

One table for all languages, since grammars name alike what is alike; `_ONLY` holds what a language means otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intarsia.code.inside.syntax import Node, named

Rule = Literal[
    "body",  # statements and members
    "chain",  # if, else if, else
    "cases",  # of a switch or match
    "parameters",
    "arguments",
    "keyed",  # entries with distinct keys: dictionaries, objects, struct literals
    "ordered",  # elements of a list or an array
    "set",  # names whose order means nothing: imports, interfaces, bounds
    "enumeration",  # enumerators, which may have implicit values
    "strict",  # what is known by its place: tuples, base classes, decorators, type parameters
]


@dataclass(frozen=True)
class Shape:
    """`separators` stand between items; where they are `needed`, an item is all that stands between two."""

    rule: Rule
    separators: frozenset[str] = frozenset(",")
    needed: bool = True


def _table(rule: Rule, kinds: str, separators: str = ",", needed: bool = True) -> dict[str, Shape]:
    return {kind: Shape(rule, frozenset(separators.split()), needed) for kind in kinds.split()}


_COMMON = {
    **_table(
        "body",
        "module program source_file translation_unit compilation_unit block statement_block compound_statement"
        " body_statement block_body then class_body declaration_list field_declaration_list enum_declaration_list"
        " import_spec_list case_body constructor_body interface_type do_block annotation_type_body"
        " enum_body_declarations preproc_if preproc_ifdef",
        ";",
        needed=False,
    ),
    **_table("body", "interface_body object_type", "; ,", needed=False),
    **_table("cases", "switch_body switch_block", ";", needed=False),
    **_table("cases", "match_block", ",", needed=False),
    **_table("chain", "chain handlers", "", needed=False),
    **_table(
        "parameters",
        "parameters formal_parameters parameter_list method_parameters lambda_parameters block_parameters",
    ),
    **_table("arguments", "arguments argument_list annotation_argument_list attribute_argument_list"),
    **_table("keyed", "dictionary object hash field_initializer_list object_pattern"),
    **_table("keyed", "jsx_opening_element jsx_self_closing_element", "", needed=False),
    **_table("ordered", "list array array_expression array_initializer array_creation_expression"),
    **_table("ordered", "string_array symbol_array", "", needed=False),
    **_table(
        "set",
        "named_imports export_clause use_list namespace_use_group type_list implements_clause extends_type_clause"
        " class_interface_clause throws import_from_statement",
    ),
    **_table("set", "trait_bounds", "+"),
    **_table("set", "union_type", "|"),
    **_table("set", "set"),
    **_table(
        "strict",
        "tuple tuple_expression tuple_pattern array_pattern expression_list pattern_list type_parameters"
        " template_parameter_list type_parameter_list type_arguments type_argument_list template_argument_list"
        " base_class_clause base_list ordered_field_declaration_list bracketed_argument_list",
    ),
    **_table("strict", "decorated_definition", "", needed=False),
    **_table("enumeration", "enumerator_list enum_body enum_variant_list enum_member_declaration_list"),
}
_ONLY: dict[str, dict[str, Shape]] = {
    "rust": {**_table("keyed", "field_declaration_list"), **_table("cases", "match_block", ",", needed=False)},
    "cpp": {**_table("body", "field_declaration_list", "; :", needed=False)},
    "java": {**_table("body", "enum_body_declarations", ";", needed=False)},
    "c_sharp": {**_table("cases", "switch_expression")},
    "go": {
        **_table("cases", "expression_switch_statement type_switch_statement select_statement", "", needed=False),
        **_table("body", "const_declaration var_declaration type_declaration", ";", needed=False),
    },
    "ruby": {**_table("cases", "case case_match", "", needed=False)},
    "php": {**_table("cases", "match_block")},
}
FUNCTIONS = named(
    "function_definition function_declaration function_item function_expression function arrow_function lambda"
    " method_definition method_declaration method singleton_method constructor_declaration func_literal"
    " generator_function_declaration generator_function closure_expression lambda_expression lambda_literal"
    " local_function_statement anonymous_function anonymous_function_creation_expression block_node do_block"
    " destructor_declaration function_signature_item compact_constructor_declaration accessor_declaration"
)
CLASSES = named(
    "class_definition class_declaration class class_specifier struct_specifier interface_declaration"
    " enum_declaration trait_declaration struct_item enum_item trait_item impl_item mod_item struct_declaration"
    " record_declaration enum_specifier union_specifier module namespace_definition namespace_declaration type_spec"
    " abstract_class_declaration singleton_class internal_module union_item"
)
# Nodes whose parts may be changed by different sides; of all others only the same part by both.
_PARTS = named(
    "name declarator parameters body return_type result returns type superclasses superclass interfaces bases"
    " definition attributes decorator handler finalizer"
)
_PART_KINDS = named(
    "modifiers attribute_list field_initializer_list super_interfaces class_heritage base_list base_class_clause"
    " superclass throws class_interface_clause base_clause block handlers except_clause finally_clause catch_clause"
    " rescue ensure else_clause"
)
_COMPOSED = FUNCTIONS | CLASSES | {"function_declarator", "try_statement", "begin", "method_elem"}
CASES = named(
    "case_clause switch_case switch_default expression_case default_case type_case communication_case match_arm"
    " switch_block_statement_group switch_rule case_statement switch_section switch_expression_arm when else"
    " default_statement match_conditional_expression match_default_expression in_clause"
)
TAGS = named("jsx_opening_element jsx_self_closing_element")
_OPENERS = {"(": ")", "[": "]", "{": "}", "<": ">", "%w(": ")", "%i(": ")", "#[": "]", "|": "|"}
_NO_OPENERS = {"implicit_array_creation_expression": "[", "type_switch_statement": "("}  # of `new[]`, of `.(type)`
_HEADED = named(
    "import_from_statement expression_switch_statement type_switch_statement select_statement const_declaration"
    " var_declaration type_declaration case case_match switch_expression array_creation_expression interface_type"
    " object_type do_block"
)


def shape_of(node: Node, parent: Node | None, language: str) -> Shape | None:
    """None where the node is not a list."""
    if not node.named:
        return None
    special = _by_place(node, parent, language)
    return special or _ONLY.get(language, {}).get(node.kind) or _COMMON.get(node.kind)


def _by_place(node: Node, parent: Node | None, language: str) -> Shape | None:
    strict = Shape("strict")
    if node.kind == "argument_list" and parent is not None and parent.kind == "class_definition":
        return strict
    if language == "python" and node.kind == "block" and any(kid.kind == "case_clause" for kid in node.kids):
        return Shape("cases", frozenset(";"), needed=False)
    if node.kind == "compound_statement" and any(kid.kind == "case_statement" for kid in node.kids):
        return Shape("cases", frozenset(";"), needed=False)
    if node.kind == "parameter_list" and node.field == "result":
        return strict
    if node.kind in ("initializer_list", "literal_value", "initializer_expression"):
        return _initializer(node, parent, language)
    if node.kind == "token_tree" and parent is not None:
        return _macro(node, parent)
    if node.kind in ("const_declaration", "var_declaration", "type_declaration") and language == "go":
        grouped = any(kid.kind == "(" for kid in node.kids)
        iota = node.kind == "const_declaration" and any(each.kind == "iota" for each in node.walk())
        return Shape("enumeration", frozenset(";"), needed=False) if grouped and iota else None if grouped else _ALONE
    return None


_ALONE = Shape("strict", frozenset(), needed=False)
_KEYED_ITEMS = named("keyed_element initializer_pair assignment_expression")


def _initializer(node: Node, parent: Node | None, language: str) -> Shape:
    """Rows of a table and elements of an array may be added to; a struct's values are known by their place."""
    items = [kid for kid in node.kids if kid.named and not kid.comment]
    if items and all(kid.kind in _KEYED_ITEMS for kid in items):
        return Shape("keyed")
    rows = [kid.kids[0] if kid.kind == "literal_element" and kid.kids else kid for kid in items]
    if rows and all(kid.kind in ("initializer_list", "literal_value", "initializer_expression") for kid in rows):
        return Shape("ordered")
    return Shape("ordered" if parent is not None and _array(node, parent, language) else "strict")


def _array(node: Node, parent: Node, language: str) -> bool:
    if language == "go":
        kind = parent.get("type")
        return kind is not None and kind.kind in ("slice_type", "implicit_length_array_type")
    if language == "c_sharp":
        return parent.kind in ("implicit_array_creation_expression", "array_creation_expression")
    declarator = parent.get("declarator")
    while declarator is not None and declarator.kind == "pointer_declarator":
        declarator = declarator.get("declarator")
    return declarator is not None and declarator.kind == "array_declarator"


def _macro(node: Node, parent: Node) -> Shape | None:
    """Of Rust's macros only those whose tokens are known to be a list."""
    name = parent.kids[0].text if parent.kids else b""
    if name == b"derive":
        return Shape("set")
    return Shape("ordered") if parent.kind == "macro_invocation" and name == b"vec" else None


def split(node: Node, shape: Shape) -> tuple[list[Node], list[Node], list[Node]]:
    """The nodes before the items, those of the items with their separators, and those after."""
    kids = node.kids
    if node.kind in TAGS:
        named = [n + 1 for n, kid in enumerate(kids) if kid.field in ("name", "type_arguments")]
        start, end = max(named, default=1), len(kids) - 1
        return kids[:start], kids[start:end], kids[end:]
    opened = _opened(node, shape)
    if opened is not None:
        closer = _OPENERS.get(kids[opened].kind, "")
        closes = [n for n in range(opened + 1, len(kids)) if kids[n].kind == closer and not kids[n].named]
        end = closes[-1] if closes else len(kids)
        tails = [n for n in range(opened + 1, end) if kids[n].kind == "enum_body_declarations"]
        end = tails[0] if tails else end
        return kids[: opened + 1], kids[opened + 1 : end], kids[end:]
    start = 0
    if shape.rule == "cases" and node.kind in ("case", "case_match"):
        start = next((n for n, kid in enumerate(kids) if kid.kind in CASES and kid.named), len(kids))
    elif node.kind == "import_from_statement":
        start = next((n + 1 for n, kid in enumerate(kids) if kid.kind == "import"), len(kids))
    elif shape.rule not in ("body", "chain") or (kids[:1] and kids[0].kind == "do"):
        while start < len(kids) and not kids[start].named and kids[start].kind not in shape.separators:
            start += 1
    end = len(kids)
    while end > start and not kids[end - 1].named and kids[end - 1].kind not in shape.separators:
        end -= 1
    return kids[:start], kids[start:end], kids[end:]


def _opened(node: Node, shape: Shape) -> int | None:
    if shape.rule == "chain":
        return None
    for number, kid in enumerate(node.kids):
        if not kid.named and kid.kind in _OPENERS and (number == 0 or node.kind in _HEADED):
            if kid.kind == _NO_OPENERS.get(node.kind):
                continue
            return number
        if number and node.kind not in _HEADED:
            return None
    return None


def independent(node: Node, changed: Node | None) -> bool:
    """Whether this part of a definition may change beside other parts."""
    if changed is None or node.kind not in _COMPOSED:
        return False
    return changed.field in _PARTS or changed.kind in _PART_KINDS
