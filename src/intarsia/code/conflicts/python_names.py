"""What a Python module binds, imports and calls, read with `ast`; only what can be said for certain.

Where the module may do anything (`exec`, star imports, `__getattr__`), that is said too: then nothing is certain.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from intarsia.code.conflicts.python_calls import Signature, signature_of
from intarsia.code.conflicts.python_scopes import Binding, Scope, lookup, qualified
from intarsia.code.conflicts.python_syntax import syntax

ANY = "*"  # in `assigned`: any attribute may have been set
_BINDS_ANYTHING = frozenset({"globals", "vars", "locals", "exec", "global_enum", "__path__"})
_REPLACES = frozenset({"__code__", "__defaults__", "__kwdefaults__", "__init__", "__new__", "__class__"})
# A condition with such a word may ask what there is to call.
_ASKING = frozenset({"callable", "getattr", "getfullargspec", "hasattr", "signature", "version_info", "TYPE_CHECKING"})
_NOT_OF_INSTANCES = ("__new__", "__init_subclass__", "__class_getitem__")
# A context manager with such a word in it may be there to catch what goes wrong inside.
_CATCHING = ("raise", "suppress", "ignore", "except", "error", "expect", "assert", "fail", "warn", "throw", "xfail")


class Import(Struct, gc=False, frozen=True):
    """`name` imported from a module, or the module itself where it is empty; `certain` when nothing guards it."""

    module: str
    level: int
    name: str
    line: int
    certain: bool


class Call(Struct, gc=False, frozen=True):
    """A call with a fixed number of arguments of a callee that can be traced.

    `callee` is what its first name is bound to, `attributes` what follows; `owner` the class whose `self` it is.
    """

    callee: Binding
    attributes: tuple[str, ...]
    owner: str
    positional: int
    keywords: tuple[str, ...]
    line: int
    inside: str

    @property
    def shape(self) -> tuple[object, ...]:
        """What stays the same when lines move."""
        return (self.callee, self.attributes, self.owner, self.positional, self.keywords)

    @property
    def name(self) -> str:
        return self.attributes[-1] if self.attributes else self.callee.name


class Class(Struct, gc=False, frozen=True):
    """A class; `plain` when it has no base, decorator, metaclass or hook that could change what calling it does."""

    plain: bool
    methods: dict[str, Signature]
    bound: dict[str, int]


class Module(Struct, gc=False, frozen=True):
    """`bound` has every name the module may bind, and how; `dynamic` when it may bind any."""

    bound: dict[str, tuple[Binding, ...]]
    functions: dict[str, Signature]
    classes: dict[str, Class]
    imports: tuple[Import, ...]
    calls: tuple[Call, ...]
    bases: frozenset[str]
    assigned: frozenset[str]
    dynamic: bool

    def only(self, name: str) -> Binding | None:
        """The one certain binding of a name, or None."""
        found = self.bound.get(name, ())
        return found[0] if len(found) == 1 and found[0].certain else None


def module_of(data: bytes) -> Module | None:
    """None when the file does not parse."""
    tree = syntax(data)
    if tree is None:
        return None
    reader = _Reader()
    try:
        reader.all(tree.body)
    except RecursionError:
        return None
    return reader.module()


class _Found(Struct):
    """A call on the way, to be traced when all bindings are known."""

    node: ast.Call
    chain: list[str]
    scope: Scope


class _Reader:
    """One pass over the tree; `certain` and `tolerant` say what surrounds the node that is being read."""

    def __init__(self) -> None:
        self.top = Scope("module")
        self.scope = self.top
        self.certain = True
        self.tolerant = False
        self.functions: dict[str, Signature] = {}
        self.classes: dict[str, Class] = {}
        self.imports: list[Import] = []
        self.found: list[_Found] = []
        self.bases: set[str] = set()
        self.assigned: set[str] = set()
        self.dynamic = False

    def module(self) -> Module:
        bound = {name: tuple(bindings) for name, bindings in self.top.names.items()}
        dynamic = self.dynamic or "*" in bound or "__getattr__" in bound
        return Module(
            bound=bound,
            functions=self.functions,
            classes=self.classes,
            imports=tuple(self.imports),
            calls=tuple(call for found in self.found if (call := _traced(found))),
            bases=frozenset(self.bases),
            assigned=frozenset(self.assigned),
            dynamic=dynamic or bool(self.assigned & _REPLACES),
        )

    def all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.node(node)

    def node(self, node: ast.AST) -> None:
        special = _SPECIAL.get(type(node))
        if special is not None:
            special(self, node)
            return
        for field in node._fields:  # as ast.iter_child_nodes has them, in half the time
            value = getattr(node, field, None)
            if isinstance(value, list):
                self.all(each for each in value if isinstance(each, ast.AST))
            elif isinstance(value, ast.AST):
                self.node(value)

    def leaf(self, node: ast.AST) -> None:
        """Half of all nodes have none below them."""

    def within(self, scope: Scope, nodes: Iterable[ast.AST | None]) -> None:
        before, self.scope = self.scope, scope
        self.all(nodes)
        self.scope = before

    def guarded(self, nodes: Iterable[ast.AST | None], *, tolerant: bool = False) -> None:
        """Nodes that may not run or, where `tolerant`, may fail on purpose."""
        before = self.certain, self.tolerant
        self.certain, self.tolerant = False, self.tolerant or tolerant
        self.all(nodes)
        self.certain, self.tolerant = before

    def bind(self, name: str, binding: Binding = Binding("other")) -> None:  # noqa: B008
        scope = self.scope
        if name in scope.elsewhere:
            self.top.bind(name, Binding("other"))
            while scope.outer is not None:
                scope = scope.outer
                scope.bind(name, Binding("other"))
        else:
            scope.bind(name, binding)

    def branch(self, node: ast.AST) -> None:
        asks = isinstance(node, ast.If) and not _words(node.test).isdisjoint(_ASKING)
        self.guarded(ast.iter_child_nodes(node), tolerant=asks)

    def attempt(self, node: ast.Try) -> None:
        self.guarded(node.body, tolerant=bool(node.handlers))
        self.guarded([*node.handlers, *node.orelse, *node.finalbody])

    def context(self, node: ast.With | ast.AsyncWith) -> None:
        words = {word.lower() for item in node.items for word in _words(item.context_expr)}
        catching = any(part in word for word in words for part in _CATCHING)
        self.guarded([*node.items, *node.body], tolerant=catching)

    def handler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bind(node.name)
        self.all(ast.iter_child_nodes(node))

    def name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.bind(node.id)
        elif node.id in _BINDS_ANYTHING:
            self.dynamic = True

    def attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.assigned.add(node.attr)
        elif node.attr in ("modules", "global_enum"):  # of sys and enum: ways to bind names from elsewhere
            self.dynamic = True
        elif node.attr == "__dict__":
            self.assigned.add(ANY)
        self.node(node.value)

    def walrus(self, node: ast.NamedExpr) -> None:
        scope: Scope | None = self.scope
        while scope is not None:  # binds outside of the comprehension it stands in; here, in all around it
            scope.bind(node.target.id, Binding("other"))
            scope = scope.outer if scope.kind == "comprehension" else None
        self.node(node.value)

    def elsewhere(self, node: ast.Global | ast.Nonlocal) -> None:
        self.scope.elsewhere.update(node.names)
        for name in node.names:
            self.bind(name)

    @property
    def unguarded(self) -> bool:
        """Whether an import here runs as it stands: functions inside of functions may be made to run elsewhere."""
        outer = self.scope.outer
        nested = self.scope.kind == "function" and outer is not None and outer.kind == "function"
        return self.certain and not self.tolerant and not nested

    def import_(self, node: ast.Import) -> None:
        for alias in node.names:
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            self.bind(alias.asname or module, Binding("import", self.certain, module))
            self.imports.append(Import(alias.name, 0, "", node.lineno, self.unguarded))

    def from_(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        for alias in node.names:
            self.bind(alias.asname or alias.name, Binding("from", self.certain, module, node.level, alias.name))
            self.imports.append(Import(module, node.level, alias.name, node.lineno, self.unguarded))

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.all([*node.decorator_list, *_outside(node.args), node.returns])
        self.bind(node.name, Binding("def", self.certain, name=node.name))
        if self.scope is self.top and self.certain and not node.decorator_list:
            self.functions[node.name] = signature_of(node.args)
        scope = Scope("function", node.name, self.scope)
        self.parameters(node, scope)
        self.within(scope, [*getattr(node, "type_params", []), *node.body])

    def parameters(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        names = _parameters(node.args)
        for name in names:
            scope.bind(name, Binding("other"))
        takes_self = bool(node.args.posonlyargs or node.args.args) and node.name not in _NOT_OF_INSTANCES
        if takes_self and self.scope.kind == "class" and not node.decorator_list:
            scope.names[names[0]] = [Binding("self", True, name=self.scope.name)]

    def lambda_(self, node: ast.Lambda) -> None:
        self.all(_outside(node.args))
        scope = Scope("function", "", self.scope)
        for name in _parameters(node.args):
            scope.bind(name, Binding("other"))
        self.within(scope, [node.body])

    def comprehension(self, node: ast.AST) -> None:
        self.within(Scope("comprehension", "", self.scope), ast.iter_child_nodes(node))

    def class_(self, node: ast.ClassDef) -> None:
        self.all([*node.decorator_list, *node.bases, *node.keywords])
        for base in node.bases:
            self.bases.update(_words(base))
        top = self.scope is self.top
        self.bind(node.name, Binding("class", self.certain, name=node.name))
        scope = Scope("class", node.name if top else "", self.scope)
        self.within(scope, [*getattr(node, "type_params", []), *node.body])
        if top and self.certain:
            self.classes[node.name] = _class(node, scope)

    def call(self, node: ast.Call) -> None:
        chain = _chain(node.func)
        if chain and not self.tolerant and not _splat(node):
            self.found.append(_Found(node, chain, self.scope))
        if chain and chain[-1] in ("setattr", "delattr"):
            self.assigned.add(ANY)
        if _tells_its_name(node) and "logger" not in "".join(chain).lower():
            self.dynamic = True  # the callee may bind names in the module of that name
        if chain and chain[-1] in ("type", "new_class", "make_dataclass", "NewType"):
            self.bases.update(_words(node))
        catching = bool(chain) and any(part in chain[-1].lower() for part in _CATCHING)
        before, self.tolerant = self.tolerant, self.tolerant or catching
        self.all(ast.iter_child_nodes(node))
        self.tolerant = before

    def capture(self, node: ast.MatchAs | ast.MatchStar | ast.MatchMapping) -> None:
        name = node.rest if isinstance(node, ast.MatchMapping) else node.name
        if name:
            self.bind(name)
        self.all(ast.iter_child_nodes(node))


_SPECIAL: dict[type[ast.AST], Callable[[_Reader, Any], None]] = {
    **dict.fromkeys((ast.If, ast.For, ast.AsyncFor, ast.While, ast.Match), _Reader.branch),
    **dict.fromkeys((ast.Try, ast.TryStar), _Reader.attempt),
    **dict.fromkeys((ast.With, ast.AsyncWith), _Reader.context),
    **dict.fromkeys((ast.Global, ast.Nonlocal), _Reader.elsewhere),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef), _Reader.function),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), _Reader.comprehension),
    **dict.fromkeys((ast.MatchAs, ast.MatchStar, ast.MatchMapping), _Reader.capture),
    ast.ExceptHandler: _Reader.handler,
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.attribute,
    ast.NamedExpr: _Reader.walrus,
    ast.Import: _Reader.import_,
    ast.ImportFrom: _Reader.from_,
    ast.Lambda: _Reader.lambda_,
    ast.ClassDef: _Reader.class_,
    ast.Call: _Reader.call,
    **dict.fromkeys((ast.Load, ast.Store, ast.Del, ast.Constant), _Reader.leaf),
}


def _class(node: ast.ClassDef, scope: Scope) -> Class:
    bases = [base.id if isinstance(base, ast.Name) else "" for base in node.bases]
    plain = not node.decorator_list and not node.keywords and bases in ([], ["object"])
    methods = {
        item.name: signature_of(item.args)
        for item in node.body
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
        and not item.decorator_list
        and len(scope.names[item.name]) == 1
    }
    bound = {name: len(bindings) for name, bindings in scope.names.items()}
    return Class(plain and not {"__new__", "__getattribute__"} & bound.keys(), methods, bound)


def _traced(found: _Found) -> Call | None:
    first, *rest = found.chain
    if first.startswith("__") or any(part.startswith("__") for part in rest):
        return None
    binding = lookup(first, found.scope)
    if binding is None or binding.kind == "other" or (binding.kind != "import" and len(rest) > 1):
        return None
    if (binding.kind in ("def", "class") and rest) or (binding.kind in ("import", "self") and not rest):
        return None
    keywords = tuple(sorted(keyword.arg or "" for keyword in found.node.keywords))
    owner = binding.name if binding.kind == "self" else ""
    if binding.kind == "self" and not owner:
        return None
    return Call(binding, tuple(rest), owner, len(found.node.args), keywords, found.node.lineno, qualified(found.scope))


def _chain(node: ast.expr) -> list[str]:
    """`a.b.c` as its names, or nothing for any other expression."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _tells_its_name(node: ast.Call) -> bool:
    return any(isinstance(arg, ast.Name) and arg.id == "__name__" for arg in node.args)


def _splat(node: ast.Call) -> bool:
    return any(isinstance(arg, ast.Starred) for arg in node.args) or any(k.arg is None for k in node.keywords)


def _words(node: ast.AST) -> set[str]:
    names = (getattr(part, "id", None) or getattr(part, "attr", None) for part in ast.walk(node))
    return {name for name in names if isinstance(name, str)}


def _parameters(args: ast.arguments) -> list[str]:
    ordered = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    return [arg.arg for arg in ordered if arg is not None]


def _outside(args: ast.arguments) -> list[ast.expr | None]:
    """Defaults and annotations, which are read where the function is defined."""
    ordered = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    return [*args.defaults, *args.kw_defaults, *(arg.annotation for arg in ordered if arg is not None)]
