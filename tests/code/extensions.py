"""Handlers of exceptions, attributes of tags and cases of types: pairs with their right merge, and pairs without."""

from __future__ import annotations

from tests.code.combinations import Combination
from tests.code.forms import form, inline
from tests.code.refusals_by_kind import Refusal

TAGS = [
    inline("attributes", "const x = <A ", 'k{n}="{v}"', 'k{n}="w{v}"', " />;\n", separator=""),
    inline("attributes", "const x = (\n  <A.B ", "k{n}={{f({v})}}", "k{n}={{g({v})}}", ">b</A.B>\n);\n", separator=""),
    form("attributes", "const x = (\n  <A\n", 'k{n}="{v}"', 'k{n}="w{v}"', "  />\n);\n", separator="", note="//"),
]
TYPES = [
    form(
        "types",
        "func f(x any) int {\n\tswitch x.(type) {\n",
        "case *P{n}, []P{n}:\n\t\treturn {v}",
        "case *P{n}, []P{n}:\n\t\treturn {v}",
        "\t}\n\treturn 0\n}\n",
        separator="",
        margin="\t",
        note="",
    ),
]


def handlers(*clauses: str, rest: str = "") -> str:
    return "def f(x):\n    try:\n        g(x)\n" + "".join(f"    except {clause}\n" for clause in clauses) + rest


KEY, VALUE = "KeyError:\n        return 1", "ValueError as error:\n        h(error)"
INDEX, OTHER = "(IndexError, TypeError):\n        return 2", "Custom:\n        return 3"
ANY, OS = "Exception:\n        raise", "OSError:\n        return 4"
END = "    else:\n        e()\n    finally:\n        z()\n"


def _handlers(name: str, base: list[str], ours: list[str], theirs: list[str], merged: list[str]) -> Combination:
    texts = (handlers(*clauses, rest=END) for clauses in (base, ours, theirs, merged))
    return ("handlers", "python", name, *texts)  # type: ignore[return-value]


def _no_handlers(name: str, base: list[str], ours: list[str], theirs: list[str]) -> Refusal:
    texts = (handlers(*clauses) for clauses in (base, ours, theirs))
    return ("handlers", "python", name, *texts)  # type: ignore[return-value]


MERGED: list[Combination] = [
    _handlers("both append", [OTHER], [OTHER, KEY], [OTHER, VALUE], [OTHER, KEY, VALUE]),
    _handlers("both put in front", [ANY], [KEY, ANY], [INDEX, ANY], [KEY, INDEX, ANY]),
    _handlers("front and back", [OTHER], [VALUE, OTHER], [OTHER, INDEX], [VALUE, OTHER, INDEX]),
    _handlers("the same", [OTHER], [OTHER, KEY], [OTHER, KEY], [OTHER, KEY]),
    _handlers("append and change", [OTHER], [OTHER, KEY], [OTHER.replace("3", "4")], [OTHER.replace("3", "4"), KEY]),
    _handlers(
        "both change another",
        [OTHER, KEY],
        [OTHER.replace("3", "5"), KEY],
        [OTHER, KEY.replace("1", "6")],
        [OTHER.replace("3", "5"), KEY.replace("1", "6")],
    ),
    (
        "handlers",
        "python",
        "one and what is tried",
        handlers(OTHER),
        handlers(OTHER, VALUE),
        handlers(OTHER).replace("g(x)", "g(x, 1)"),
        handlers(OTHER, VALUE).replace("g(x)", "g(x, 1)"),
    ),
    *(
        ("attributes", language, name, base, ours, theirs, merged)
        for language in ("javascript", "tsx")
        for name, base, ours, theirs, merged in [
            ("the first ones", "a = <A />;\n", "a = <A x />;\n", "a = <A y={1} />;\n", "a = <A x y={1} />;\n"),
            (
                "deep in two",
                "a = <A x={[1]} y={{ b: 1 }} />;\n",
                "a = <A x={[1, 2]} y={{ b: 1 }} />;\n",
                "a = <A x={[1]} y={{ b: 1, c: 2 }} />;\n",
                "a = <A x={[1, 2]} y={{ b: 1, c: 2 }} />;\n",
            ),
            (
                "in front of all that is spread",
                "a = <A x={1} {...p} />;\n",
                "a = <A x={1} y={2} {...p} />;\n",
                "a = <A x={1} z={3} {...p} />;\n",
                "a = <A x={1} y={2} z={3} {...p} />;\n",
            ),
        ]
    ),
    (
        "types",
        "go",
        "one predeclared, one pointer",
        "func f(x any) {\n\tswitch x.(type) {\n\tcase error:\n\t\ta()\n\t}\n}\n",
        "func f(x any) {\n\tswitch x.(type) {\n\tcase error:\n\t\ta()\n\tcase int, string:\n\t\tb()\n\t}\n}\n",
        "func f(x any) {\n\tswitch x.(type) {\n\tcase error:\n\t\ta()\n\tcase *T:\n\t\tc()\n\t}\n}\n",
        "func f(x any) {\n\tswitch x.(type) {\n\tcase error:\n\t\ta()\n\tcase int, string:\n\t\tb()\n\tcase *T:\n"
        "\t\tc()\n\t}\n}\n",
    ),
]
REFUSED: list[Refusal] = [
    _no_handlers("one is a base", [OTHER], [OTHER, KEY], [OTHER, "LookupError:\n        pass"]),
    _no_handlers("one catches all", [OTHER], [OTHER, KEY], [OTHER, ANY]),
    _no_handlers("one of several", [OTHER], [OTHER, INDEX], [OTHER, "(Custom, KeyError):\n        pass"]),
    _no_handlers("a class of one's own", [KEY], [KEY, OTHER], [KEY, VALUE]),
    _no_handlers("one class twice", [OTHER], [OTHER, KEY], [OTHER, KEY.replace("1", "2")]),
    _no_handlers("no class", [OTHER], [OTHER, KEY], [OTHER, "BaseException:\n        pass"]),
    _no_handlers("classes that one exception can have", [OTHER], [OTHER, OS], [OTHER, VALUE]),
    _no_handlers("dictionaries with attributes", [OTHER], [OTHER, KEY], [OTHER, "AttributeError:\n        pass"]),
    _no_handlers("a base in front, far from the other", [OTHER], [ANY, OTHER], [OTHER, KEY]),
    _no_handlers(
        "catches more", [KEY, OTHER], [KEY, OTHER, VALUE], [KEY.replace("KeyError", "(KeyError, ValueError)"), OTHER]
    ),
    _no_handlers(
        "removed, and caught by the other's", [KEY, OTHER], [OTHER], [KEY, OTHER, "LookupError:\n        pass"]
    ),
    *(
        ("attributes", language, name, base, ours, theirs)
        for language in ("javascript", "tsx")
        for name, base, ours, theirs in [
            ("one name, two values", "a = <A />;\n", "a = <A x={1} />;\n", "a = <A x={2} />;\n"),
            ("what is spread", "a = <A x={1} />;\n", "a = <A x={1} {...p} />;\n", "a = <A x={1} y={2} />;\n"),
            (
                "a value and its default",
                "a = <A b />;\n",
                "a = <A b value={1} />;\n",
                "a = <A b defaultValue={2} />;\n",
            ),
            (
                "two ways to be filled",
                "a = <A b />;\n",
                "a = <A b children={c} />;\n",
                "a = <A b dangerouslySetInnerHTML={d} />;\n",
            ),
            ("the tag", "a = <A b />;\n", "a = <B b />;\n", "a = <A b c />;\n"),
            ("evaluated in order", "a = <A b />;\n", "a = <A b c={n.next()} />;\n", "a = <A b d={n.next()} />;\n"),
            ("filled in both ways", "a = <A>b</A>;\n", "a = <A children={c}>b</A>;\n", "a = <A>d</A>;\n"),
            ("with a name space", "a = <A b />;\n", "a = <A b x:c={1} />;\n", "a = <A b d={2} />;\n"),
        ]
    ),
    *(
        (
            "types",
            "go",
            name,
            "func f(x any) {\n\tswitch x.(type) {\n\tcase error:\n\t\ta()\n\t}\n}\n",
            f"func f(x any) {{\n\tswitch x.(type) {{\n\tcase error:\n\t\ta()\n\tcase {one}:\n\t\tb()\n\t}}\n}}\n",
            f"func f(x any) {{\n\tswitch x.(type) {{\n\tcase error:\n\t\ta()\n\tcase {two}:\n\t\tc()\n\t}}\n}}\n",
        )
        for name, one, two in [
            ("two that may be interfaces", "S", "T"),
            ("a pointer and what may be an interface", "*S", "T"),
            ("one of several", "*S, I", "*T"),
            ("one type twice", "*S", "*S"),
            ("a package's interface", "io.Reader", "*T"),
        ]
    ),
    *(
        (
            "cases",
            "go",
            name,
            "func f() {\n\tswitch x {\n\tcase 1:\n\t\ta()\n\t}\n}\n",
            f"func f() {{\n\tswitch x {{\n\tcase 1:\n\t\ta()\n\tcase {one}:\n\t\tb()\n\t}}\n}}\n",
            f"func f() {{\n\tswitch x {{\n\tcase 1:\n\t\ta()\n\tcase {two}:\n\t\tc()\n\t}}\n}}\n",
        )
        for name, one, two in [("two names", "A", "B"), ("two calls", "f()", "g()"), ("two pointers", "*p", "*q")]
    ),
]
