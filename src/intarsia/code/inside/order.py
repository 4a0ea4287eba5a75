"""When two sides add at the same place of the same body, whether the order of the two means anything.

It means nothing between definitions, imports, assignments to different names, and calls that register. Everything else
is handed back: a call may change what another one sees, and nobody has run the two in either order.
"""

from __future__ import annotations

import re

from intarsia.code.inside.effects import Call, Effects, Path, clashing, effects, touching
from intarsia.code.inside.items import Item
from intarsia.code.inside.syntax import Node


def _words(text: str) -> frozenset[bytes]:
    return frozenset(text.encode().split())


# Verbs of calls that add something of their own to a collection.
_REGISTERING = _words(
    "add append attach assert bind check column command connect context declare define describe emplace enable"
    " ensure expect export extend field flag handle include insert install it listen mount on option plug"
    " provide push put register require resource resources route set specify subscribe test"
    " validates verify attr has belongs scope"
)
# Verbs of calls that leave what they are called on as it was.
_READING = _words(
    "all any as atoi bool build contains copy count create ends env exists filter find first float format from get"
    " has int is itoa items join keys last len length list lower make map max min new none of or parse reduce"
    " repeat replace require reverse size slice some sorted split sprintf starts str strip sub sum title to trim"
    " tuple upper url value values where with zip"
)
# Verbs of calls whose result depends on how often they were called.
_CONSUMING = _words(
    "advance accept consume dequeue drain fetch fgets getc getchar gets getline input next now pop poll random"
    " rand read readline recv receive scan scanf seek shift take tick uuid increment acquire lock unlock release"
    " open close begin commit rollback await sleep wait"
)
# Verbs that replace what was there, unless they name a key.
_REPLACING = _words("set bind put connect define provide enable handle option")
# Statements that neither write nor call.
_SILENT = frozenset({"assert_statement", "preproc_include", "using_directive", "pass_statement", "assert"})
_PATHS = re.compile(rb"[\"']/")
_VERBS_OF_ROUTES = _words("get post put patch delete all head options")
# Their order is the order in which methods are looked up.
_MIXINS = _words("include extend prepend")
_DIRECTIVES = frozenset(["access_specifier", "preproc_if", "preproc_ifdef", "preproc_else", "preproc_call"])


def strangers(a: Item, b: Item, language: str) -> bool:
    """Whether two statements or members that the sides added at the same place may stand in either order."""
    if a.comment or b.comment:
        return True
    if any(node.kind in _DIRECTIVES for item in (a, b) for node in item.kids):
        return False
    one, two = effects(a.kids), effects(b.kids)
    if one.exits or two.exits or one.ordered or two.ordered or clashing(one, two):
        return False
    if _bare(a, one) or _bare(b, two):
        return False
    if not (one.calls or two.calls):
        return True
    return all(_commute(x, y, language) for x in one.calls for y in two.calls) and not (
        _disturbs(one, two) or _disturbs(two, one) or _consumes(one) or _consumes(two)
    )


def evaluated_apart(a: Item, b: Item) -> bool:
    """Whether two elements of a list may be evaluated in either order."""
    one, two = effects(a.kids), effects(b.kids)
    if clashing(one, two) or one.ordered or two.ordered:
        return False
    return not ((_consumes(one) and two.calls) or (_consumes(two) and one.calls))


def _bare(item: Item, found: Effects) -> bool:
    """A value and nothing else: the result of a body, or a directive."""
    return not found.writes and not found.calls and item.node.kind not in _SILENT


def _commute(x: Call, y: Call, language: str) -> bool:
    """Two calls whose results are thrown away must register; else it is enough that neither changes the other's."""
    if not (x.effect and y.effect):
        return not (x.effect or y.effect) or _apart(x, y)
    return _registering(x, y, language) or _routes(x, y)


def _apart(x: Call, y: Call) -> bool:
    """A call for its effect and one for its value: only where the effect is to register something elsewhere."""
    acting, other = (x, y) if x.effect else (y, x)
    nested = acting.node.start <= other.node.start and other.node.end <= acting.node.end
    return acting.verb in _REGISTERING and (nested or not _shares_receiver(acting, other) or other.verb == acting.verb)


def _shares_receiver(x: Call, y: Call) -> bool:
    return bool(x.receiver and y.receiver) and touching({x.receiver}, {y.receiver})


def _registering(x: Call, y: Call, language: str) -> bool:
    if language == "ruby" and not x.receiver and x.verb in _MIXINS:
        return False
    if x.verb != y.verb or x.verb not in _REGISTERING:
        return False
    if x.path == y.path and x.verb in _REPLACING and min(len(_arguments(x.node)), len(_arguments(y.node))) < 2:
        return False
    return not (x.path == y.path and _same_key(x.node, y.node))


def _same_key(x: Node, y: Node) -> bool:
    """Two registrations under one key: the first argument, or a string behind it where the first is the registry."""
    one, two = _arguments(x), _arguments(y)
    if min(len(one), len(two)) < 2 or _plain(one[0]) != _plain(two[0]):
        return False
    distinct = "string" in one[1].kind and "string" in two[1].kind and _plain(one[1]) != _plain(two[1])
    return not (len(one) > 2 and distinct)


def _plain(node: Node) -> bytes:
    return node.text.strip(b"\"'`:")


def _arguments(call: Node) -> list[Node]:
    held = call.get("arguments") or next((kid for kid in call.kids if kid.kind in ("argument_list", "arguments")), None)
    return [kid for kid in held.kids if kid.named and not kid.comment] if held else []


def _routes(x: Call, y: Call) -> bool:
    """`app.get("/a", handler)`: two paths of which neither holds a placeholder."""
    return all(call.verb in _VERBS_OF_ROUTES and _routed(call.node) for call in (x, y)) and (
        x.receiver == y.receiver and not _same_key(x.node, y.node)
    )


def _routed(call: Node) -> bool:
    found = _arguments(call)
    if len(found) < 2 or not _PATHS.match(found[0].text) or re.search(rb"[:*{<(\[]", found[0].text):
        return False
    last = found[-1].kids[0] if found[-1].kind == "argument" and found[-1].kids else found[-1]
    return "function" in last.kind or "lambda" in last.kind or "identifier" in last.kind or "member" in last.kind


def _disturbs(one: Effects, two: Effects) -> bool:
    """Whether a call of the one may change what the other looks at."""
    changed = {_root(call) for call in one.calls if call.receiver and _changing(call)}
    looked: set[Path] = set()
    for name in two.names:
        if not any(call.path == name and _like(call, one) for call in two.calls):
            looked.add(name)
    return touching({name for name in changed if name}, looked)


def _like(call: Call, other: Effects) -> bool:
    """Calls of one registry do not disturb each other."""
    return any(call.verb == each.verb and call.receiver == each.receiver for each in other.calls) and (
        call.verb in _REGISTERING or call.verb in _VERBS_OF_ROUTES or call.verb in _READING
    )


def _root(call: Call) -> Path:
    return call.receiver


def _changing(call: Call) -> bool:
    """A call on something; on a type or a module it changes nothing that is seen here."""
    kind = call.receiver[0][:1]
    return call.verb not in _READING and not (kind.isupper() or call.receiver == (b"?",))


def _consumes(found: Effects) -> bool:
    return any(call.verb in _CONSUMING for call in found.calls)
