"""What is known of each language: its grammar and the kinds of node that hold members, wrap, or import.

Whatever these tables do not name is a unit of its own, so a kind of node nobody thought of still tiles.
"""

from __future__ import annotations

import re
import threading
import time
from functools import cache
from importlib import import_module
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import tree_sitter

MAX_BYTES = 1_000_000
# Of processor time, about five times what source takes. What is not source can make a grammar try so many readings at
# once that it takes a gigabyte per second.
SECONDS = 0.1
SECONDS_PER_BYTE = 0.5e-6
_CHUNK = 65_536
_SHALLOW = 65_536
_DEEP_STACK = 256 * 1024 * 1024  # only what is used of it takes memory
_stack_size = threading.Lock()
_here = threading.local()
MAX_OPEN = 2_000
_BRACKETS = ((b"(", b")"), (b"[", b"]"), (b"{", b"}"), (b"<", b">"))
_NO_BRACKETS = bytes(set(range(256)) - set(b"".join(b"".join(pair) for pair in _BRACKETS)))
_BLOCK = 4_096
_ENDS = re.compile(rb"[)\]};,]")
_TOKEN = re.compile(rb"\w+|[^\w\s]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CPP_HEADER = re.compile(
    rb"^\s*(?:class|namespace|template|using|concept)\b|\b(?:constexpr|typename|nullptr)\b|\bstd::|\b(?:public|private):",
    re.MULTILINE,
)


def words(text: str) -> frozenset[str]:
    """A set from a list that stays readable."""
    return frozenset(text.split())


class Language(Struct, frozen=True):
    """Kinds of node. `containers` hold members; `transparent` ones lend them no name; `wrappers` stand around one
    definition; `attached` ones belong to the definition that follows; of `imports` only the order is free."""

    module: str
    extensions: str
    containers: frozenset[str] = frozenset()
    transparent: frozenset[str] = frozenset()
    wrappers: frozenset[str] = frozenset()
    attached: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    factory: str = "language"


_SCRIPT_CONTAINERS = words(
    "class_declaration class abstract_class_declaration interface_declaration internal_module module enum_declaration"
)
_PREPROCESSOR = words("preproc_ifdef preproc_if preproc_else preproc_elif preproc_elifdef")


def _script(module: str, extensions: str, factory: str) -> Language:
    return Language(
        module,
        extensions,
        containers=_SCRIPT_CONTAINERS,
        wrappers=words("export_statement ambient_declaration expression_statement"),
        attached=words("decorator"),
        imports=words("import_statement"),
        factory=factory,
    )


LANGUAGES = {
    "python": Language(
        "tree_sitter_python",
        "py pyi pyw",
        containers=words("class_definition"),
        wrappers=words("decorated_definition expression_statement"),
        imports=words("import_statement import_from_statement future_import_statement"),
    ),
    "javascript": _script("tree_sitter_javascript", "js mjs cjs jsx", "language"),
    "typescript": _script("tree_sitter_typescript", "ts mts cts", "language_typescript"),
    "tsx": _script("tree_sitter_typescript", "tsx", "language_tsx"),
    "go": Language(
        "tree_sitter_go",
        "go",
        containers=words("type_spec"),
        transparent=words("import_declaration type_declaration var_declaration const_declaration"),
        imports=words("import_spec import_declaration"),
    ),
    "rust": Language(
        "tree_sitter_rust",
        "rs",
        containers=words("impl_item trait_item mod_item enum_item struct_item union_item"),
        transparent=words("foreign_mod_item"),
        wrappers=words("expression_statement"),
        attached=words("attribute_item"),
        imports=words("use_declaration extern_crate_declaration"),
    ),
    "java": Language(
        "tree_sitter_java",
        "java",
        containers=words(
            "class_declaration interface_declaration enum_declaration record_declaration annotation_type_declaration"
        ),
        transparent=words("enum_body_declarations"),
        imports=words("import_declaration"),
    ),
    "c": Language(
        "tree_sitter_c",
        "c h",
        transparent=_PREPROCESSOR | {"linkage_specification"},
        wrappers=words("expression_statement"),
        imports=words("preproc_include"),
    ),
    "cpp": Language(
        "tree_sitter_cpp",
        "cpp cc cxx c++ hpp hh hxx h++ ipp tpp",
        containers=words("namespace_definition class_specifier struct_specifier"),
        transparent=_PREPROCESSOR | {"linkage_specification"},
        wrappers=words("template_declaration expression_statement"),
        imports=words("preproc_include"),
    ),
    "c_sharp": Language(
        "tree_sitter_c_sharp",
        "cs",
        containers=words(
            "namespace_declaration class_declaration struct_declaration interface_declaration record_declaration"
            " enum_declaration"
        ),
        transparent=words("preproc_if preproc_else preproc_elif"),
        wrappers=words("global_statement expression_statement"),
        imports=words("using_directive extern_alias_directive"),
    ),
    "ruby": Language(
        "tree_sitter_ruby",
        "rb rake gemspec ru",
        containers=words("class module singleton_class"),
    ),
    "php": Language(
        "tree_sitter_php",
        "php phtml",
        containers=words(
            "namespace_definition class_declaration interface_declaration trait_declaration enum_declaration"
        ),
        wrappers=words("expression_statement"),
        imports=words("namespace_use_declaration"),
        factory="language_php",
    ),
}
# How often the same name may be defined with other parameters.
OVERLOADING = frozenset({"java", "c_sharp", "cpp", "typescript", "tsx", "c", "rust"})
_BY_EXTENSION = {extension: name for name, language in LANGUAGES.items() for extension in language.extensions.split()}
_BY_NAME = {"Rakefile": "ruby", "Gemfile": "ruby"}


def language_of(path: str, data: bytes) -> str | None:
    """The language of a file by its name, for `.h` also by its content; None when unknown."""
    name = PurePosixPath(path)
    extension = name.suffix[1:].lower()
    if extension == "h":
        return "cpp" if _CPP_HEADER.search(data[:300_000]) else "c"
    return _BY_EXTENSION.get(extension) or _BY_NAME.get(name.name)


@cache
def grammar(language: str) -> tree_sitter.Language:
    import tree_sitter

    known = LANGUAGES[language]
    return tree_sitter.Language(getattr(import_module(known.module), known.factory)())


def parse(data: bytes, language: str) -> tree_sitter.Tree | None:
    """The syntax tree; None when the file is too large, is UTF-16, or takes too long. Drop it soon: it takes 25 times
    the memory of the source."""
    if len(data) > MAX_BYTES or data.startswith(_UTF16) or _is_endless(data):
        return None
    data = data.replace(b"\0", b"\1")  # at a zero byte a grammar takes a comment or a string to end
    return _parse(data, language) if len(data) <= _SHALLOW else _parse_deep(data, language)


def _is_endless(data: bytes) -> bool:
    """Whether thousands of things are begun and not ended, as in no source. At the end of such a text a grammar goes
    through all that it may have been, which takes gigabytes for some ten thousand bytes, and can't be stopped."""
    brackets = data.translate(None, _NO_BRACKETS)  # much less to count in
    if any(brackets.count(begin) - brackets.count(end) > MAX_OPEN for begin, end in _BRACKETS):
        return True
    return any(
        not _ENDS.search(data, start, start + _BLOCK) and len(_TOKEN.findall(data, start, start + _BLOCK)) > _BLOCK // 4
        for start in range(0, len(data) - _BLOCK + 1, _BLOCK)
    )


def _parse(data: bytes, language: str) -> tree_sitter.Tree | None:
    parser = _parser(language)
    budget = SECONDS + SECONDS_PER_BYTE * len(data)
    clock_end, until = time.perf_counter() + budget, time.thread_time() + budget
    try:
        # The progress callback is heeded only when the source comes from a callable. It is called very often, and
        # asking for the time that this thread has used takes long.
        return parser.parse(
            lambda offset, _point: data[offset : offset + _CHUNK],
            progress_callback=lambda _offset, _error: time.perf_counter() > clock_end and time.thread_time() > until,
        )
    except ValueError:  # stopped by the callback; the parser would go on from there
        del _here.parsers[language]
        return None


def _parser(language: str) -> tree_sitter.Parser:
    """This thread's own, as making one takes as long as a kilobyte does."""
    import tree_sitter

    if not hasattr(_here, "parsers"):
        _here.parsers = {}
    if language not in _here.parsers:
        _here.parsers[language] = tree_sitter.Parser(grammar(language))
    parser: tree_sitter.Parser = _here.parsers[language]
    return parser


def _parse_deep(data: bytes, language: str) -> tree_sitter.Tree | None:
    """On a thread with a large stack: tree-sitter recurses once per open bracket, and ends the process when a megabyte
    of them overflows the usual stack."""
    found: list[tree_sitter.Tree | None] = []
    thread = threading.Thread(target=lambda: found.append(_parse(data, language)), name="parse")
    with _stack_size:
        before = threading.stack_size(_DEEP_STACK)
        try:
            thread.start()
        except RuntimeError:  # no memory for the stack
            return None
        finally:
            threading.stack_size(before)
    thread.join()
    return found[0] if found else None
