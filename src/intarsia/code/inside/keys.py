"""What names an item among its siblings."""

from __future__ import annotations

import re
from collections.abc import Collection

from intarsia.code.inside.items import UNSEEN, Item
from intarsia.code.inside.kinds import CASES, CLASSES, FUNCTIONS, Rule
from intarsia.code.inside.syntax import Node, named
from intarsia.code.languages import OVERLOADING

Key = tuple[str, bytes]
_SPREAD = re.compile(r"splat|spread|variadic|separator|rest_pattern|remaining|base_field_initializer")
_ROWS = named("tuple list array initializer_list literal_value array_creation_expression tuple_expression")
_ALIKE = {b"dangerouslySetInnerHTML": b"children", b"class": b"className", b"for": b"htmlFor"}
_SCRIPTS = frozenset({"javascript", "typescript", "tsx"})


class Keys:
    """The keys of all items of one list, in its three versions."""

    def __init__(self, rule: Rule, language: str, versions: Collection[list[Item]]) -> None:
        self._rule = rule
        self._language = language
        self._versions = versions

    def before(self, item: Item) -> list[Item]:
        """The items before it on its own side."""
        return next(items[:n] for items in self._versions for n, each in enumerate(items) if each is item)

    def of(self, item: Item) -> object:
        """A Key or None; found once."""
        if item.key is UNSEEN:
            item.key = self._key(item)
        return item.key

    def _key(self, item: Item) -> Key | None:
        if item.comment:
            return None
        if self._rule == "keyed":
            return _entry(item, self._language)
        if self._rule == "body":
            return _member(item.node, self._language)
        if self._rule in ("parameters", "enumeration"):
            return _named(item)
        if self._rule == "arguments":
            return _keyword(item.node)
        if self._rule == "ordered":
            return _row(item.node)
        return _plain(item, self._rule)

    def manner(self, item: Item) -> str | None:
        """Keys of one manner differ when they are spelled differently; None for keys that are computed."""
        key = _entry(item, self._language)
        return key[0] if key else None


def is_spread(item: Item) -> bool:
    kinds = {kid.kind for kid in item.kids} | {kid.kind for kid in item.node.kids[:2]}
    return any(_SPREAD.search(kind) for kind in kinds) or item.text.startswith((b"*", b"...", b"**", b"&"))


def positional(item: Item, rule: str, language: str) -> bool:
    """Known by its place, not by its name."""
    if is_spread(item) or item.comment:
        return False
    if rule == "parameters":
        return item.node.kind != "keyword_parameter"
    return _keyword(item.node) is None


def value_of(item: Item) -> bytes:
    """What an enumerator is set to, or nothing."""
    found = re.match(rb"[^=]*?=(?![=>])\s*(.*?)[\s;]*$", item.text, re.DOTALL)
    return found[1] if found else b""


def _entry(item: Item, language: str) -> Key | None:
    node = item.node.kids[0] if item.node.kind == "literal_element" and item.node.kids else item.node
    key = next((node.get(name) for name in ("key", "field", "designator", "name", "left") if node.get(name)), None)
    if key is None and node.kind == "array_element_initializer":
        key = node.kids[0] if len(node.kids) == 3 else None
    if key is None and node.kind in ("field_initializer", "shorthand_field_initializer"):
        key = node.kids[0] if node.kids else None
    if key is None and "shorthand" in node.kind:
        key = node
    if key is None and node.kind == "jsx_attribute":
        return _attribute(_spelled(node.kids[0], language))
    if key is None:
        return None
    return _spelled(key, language)


def _attribute(key: Key | None) -> Key | None:
    """React takes one of two that say the same, and has a value and its default for one."""
    if key is None:
        return None
    name = _ALIKE.get(key[1], key[1])
    default = re.fullmatch(rb"default([A-Z])(\w*)", name)
    return (key[0], default[1].lower() + default[2] if default else name)


def _spelled(key: Node, language: str) -> Key | None:
    text = key.text.lstrip(b".") if key.kind == "field_designator" else key.text
    if language in _SCRIPTS and re.fullmatch(rb"[\"']?[\w$-]+[\"']?", text):
        return ("name", text.strip(b"\"'"))
    if re.fullmatch(rb"\"[^\"\\{}#$]*\"|'[^'\\{}#$]*'", text):
        return ("text", text[1:-1])
    if re.fullmatch(rb"0|[1-9]\d*", text):
        return ("number", text)
    if re.fullmatch(rb":?[A-Za-z_]\w*[?!]?(?:(?:\.|::)[A-Za-z_]\w*)*", text):
        return ("name", text.lstrip(b":"))
    return None


def _member(node: Node, language: str) -> Key | None:
    if node.kind == "export_statement" and any(kid.kind == "default" for kid in node.kids):
        return ("definition", b"default")
    while node.kind in ("decorated_definition", "export_statement", "template_declaration", "global_statement"):
        inner = node.get("definition") or node.get("declaration")
        if inner is None:
            inner = next((kid for kid in node.kids if kid.kind in FUNCTIONS or kid.kind in CLASSES), None)
        if inner is None:
            return None
        node = inner
    if node.kind not in FUNCTIONS and node.kind not in CLASSES:
        return _assigned(node)
    name = node.get("name")
    parameters: Node | None = node.get("parameters")
    declarator = node.get("declarator")
    while declarator is not None:
        name, parameters = declarator, declarator.get("parameters") or parameters
        declarator = declarator.get("declarator")
    if name is None:
        return None
    overloads = language in OVERLOADING and node.kind in FUNCTIONS and parameters is not None
    receiver = node.get("receiver") or node.get("type") if node.kind in ("method_declaration", "impl_item") else None
    owner = receiver.text if receiver is not None and language in ("go", "rust") else b""
    return (
        "definition",
        owner + b" " + name.text + (b"".join(parameters.text.split()) if overloads and parameters else b""),
    )


def _assigned(node: Node) -> Key | None:
    """Of a field or a constant, its name."""
    if node.kind in ("field_declaration", "property_signature", "public_field_definition", "field_definition",
                     "const_spec", "var_spec", "preproc_def", "enum_case", "enumerator"):  # fmt: skip
        name = node.get("name") or node.get("declarator") or node.get("property")
        return ("field", name.text) if name is not None else None
    return None


def _named(item: Item) -> Key | None:
    node = item.node
    name = node.get("name") or node.get("pattern") or node.get("declarator") or node.get("left")
    if name is None:
        name = next(
            (each for each in node.walk() if "identifier" in each.kind or each.kind in ("name", "constant")), None
        )
    if name is None:
        return None
    words = re.findall(rb"[A-Za-z_$@]\w*", name.text)
    return ("name", words[-1]) if words else None


def _keyword(node: Node) -> Key | None:
    if node.kind in ("keyword_argument", "argument", "pair", "attribute_argument", "element_value_pair"):
        name = node.get("name") or node.get("key")
        return ("keyword", name.text.strip(b":\"'")) if name is not None else None
    return None


def _row(node: Node) -> Key | None:
    """Of a row of a table that begins with a string, that string."""
    inner = (
        node.kids[0] if node.kind in ("literal_element", "array_element_initializer") and len(node.kids) == 1 else node
    )
    if node.kind == "array_element_initializer" and len(node.kids) == 3:
        return _spelled(node.kids[0], "php")
    if inner.kind not in _ROWS:
        return None
    named = [kid for kid in inner.kids if kid.named and not kid.comment]
    return ("row", named[0].text) if len(named) > 1 and "string" in "".join(k.kind for k in named[0].walk()) else None


def _plain(item: Item, rule: Rule) -> Key | None:
    if rule == "set":
        alias = item.node.get("alias")
        return ("name", alias.text if alias is not None else b"".join(item.text.split()))
    if rule in ("cases", "chain") and item.node.kind in (CASES | {"branch", "except_clause"}):
        kids = item.node.kids
        body = next((kid for kid in reversed(kids) if kid.named and not kid.comment), None)
        return ("label", b" ".join(kid.text for kid in kids if kid is not body and not kid.comment))
    if rule == "strict" and _keyword(item.node) is not None:
        return _keyword(item.node)
    return None
