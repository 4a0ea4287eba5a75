"""A shell command line as a tree: lists, pipelines, compounds, redirections, and what substitutions run.

The grammar of bash(1), so that what would be run is known for certain; what is rare raises Unparsable. Parsers made for
editors guess instead: a common one takes the `$(…)` in a `<<-` document for text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from intarsia.workspace.syntax import Command, Group, List, Node, Pipeline, Redirect
from intarsia.workspace.words import META, UNKNOWNS, Lexer, Unparsable, Word

LONGEST = 65_536
MOST_WORDS = 2_000
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[A-Za-z0-9_@*-]*\])?\+?=")
_REDIRECTION = re.compile(r"(?:\d+|\{\w+\})?(<<-|<<<|<<|<>|<&|<(?!\()|>\||>>|>&|>(?!\()|&>>|&>)")
_PLAIN_WORD = re.compile(r"[^\s;&|<>()'\"\\$`]+(?=[\s;&|<>()]|$)")
_FUNCTION = re.compile(r"[ \t]*\([ \t]*\)")
_NOT_ARITHMETIC = re.compile(r"[^)]*[A-Za-z_]\s+-?[A-Za-z_/.~]")
_DECLARING = ("export", "declare", "typeset", "local", "readonly")
_CLOSING = {")", "}", "then", "elif", "else", "fi", "do", "done", "esac", ";;", ";&", ";;&"}


def parse(source: str, variables: Mapping[str, str] | None = None, depth: int = 0) -> Node:
    """The tree of a command line; `variables` are those whose value is known. Raises Unparsable."""
    if len(source) > LONGEST:
        raise Unparsable(f"It is longer than {LONGEST} characters.")
    known = {k: v for k, v in (variables or {}).items() if not re.search(rf"(?<![${{\w]){k}\b", source)}
    return _Parser(source, known, depth).program()


@dataclass
class _Document:
    """A here-document whose text comes after the end of the line."""

    node: Node
    index: int
    end: str
    quoted: bool
    tabs: bool


class _Parser(Lexer[Node]):
    def __init__(self, source: str, variables: Mapping[str, str], depth: int) -> None:
        super().__init__(source, variables, depth)
        self._documents: list[_Document] = []
        self._documents_end = 0

    def program(self) -> Node:
        node = self._list(set())
        if self._at < len(self._s):
            raise self._odd()
        self._no_documents()
        return node

    def _inside(self, end: str) -> Node:
        inner, self._inner = self._inner, []
        documents, self._documents = self._documents, []
        start = self._at
        node = self._body(end)
        self._no_documents()
        if self._documents_end > start and self._s[self._documents_end : self._at - len(end)].strip():
            raise Unparsable("Commands follow a here-document in a substitution.")  # bash 5.2 joins them to one
        self._inner, self._documents = inner, documents
        return node

    def _apart(self, source: str) -> Node:
        return _Parser(source, self._variables, self._depth + 1).program()

    # Lists and pipelines.

    def _list(self, until: set[str]) -> Node:
        self._deeper(1)
        found, operator = List(), ";"
        while True:
            self._blank(newlines=True)
            word = self._peek_word()
            if self._at >= len(self._s) or word in until:
                break
            if word in _CLOSING:
                raise self._odd()
            found.items.append((operator, self._pipeline()))
            self._blank()
            operator = self._separator()
            if operator == "&":
                found.background.add(len(found.items) - 1)
                operator = ";"
            if operator == "":
                break
        if operator in ("&&", "||"):
            raise self._odd()
        self._deeper(-1)
        return Node(found)

    def _separator(self) -> str:
        for operator in ("&&", "||"):
            if self._take(operator):
                return operator
        if self._s.startswith((";;", ";&"), self._at):
            return ""
        if self._take("\n"):
            self._read_documents()
            return ";"
        return ";" if self._take(";") else "&" if self._take("&") else ""

    def _pipeline(self) -> Node:
        while self._peek_word() in ("!", "time"):
            self._take_word()
            self._blank()
            if self._peek_word() == "-p":
                self._take_word()
                self._blank()
        parts = [self._command()]
        while not self._peek("||") and self._take("|"):
            self._take("&")
            self._blank(newlines=True)
            parts.append(self._command())
        return parts[0] if len(parts) == 1 else Node(Pipeline(parts))

    # Commands.

    def _command(self) -> Node:
        compound = {
            "if": self._if, "while": self._while, "until": self._while, "for": self._for, "select": self._for,
            "case": self._case, "{": self._braces, "[[": self._test, "function": self._named,
        }.get(self._peek_word())  # fmt: skip
        outer, self._inner = self._inner, []
        if self._peek_word() in ("coproc", "]]"):
            raise self._odd()
        if compound is not None:
            self._take_word()
            node = Node(compound())
        elif self._take("(("):
            if _NOT_ARITHMETIC.match(self._s, self._at):
                raise self._odd()  # some shells see two subshells here
            self._arithmetic()
            node = Node(Group([]))
        elif self._take("("):
            node = Node(Group([self._body(")")], own=True))
        else:
            node = self._simple()
        self._blank()
        while self._redirect(node):
            self._blank()
        node.inner += self._inner
        self._inner = outer
        return node

    def _simple(self) -> Node:
        command = Command()
        node = Node(command)
        while True:
            self._blank()
            if self._redirect(node):
                continue
            if self._at >= len(self._s) or (self._s[self._at] in META and not self._at_pipe()):
                break
            assigned = _ASSIGNMENT.match(self._s, self._at)
            if assigned and (not command.words or command.words[0].text in _DECLARING):
                self._assign(command, assigned)
                continue
            command.words += self._words()
            if len(command.words) > MOST_WORDS:
                raise Unparsable("It has too many words.")
            if len(command.words) == 1 and _FUNCTION.match(self._s, self._at):
                return Node(self._function(command.words[0].text))
        if not (command.words or command.assigned or node.redirects):
            raise self._odd()
        return node

    def _assign(self, command: Command, match: re.Match[str]) -> None:
        self._at = match.end()
        if self._take("("):
            self._blank(newlines=True)
            while not self._take(")"):
                self._words()
                self._blank(newlines=True)
            command.assigned[match[1]] = Word(UNKNOWNS)
            return
        empty = self._at >= len(self._s) or self._s[self._at] in META
        command.assigned[match[1]] = Word("" if empty else self._raw_word())

    def _redirect(self, node: Node) -> bool:
        match = _REDIRECTION.match(self._s, self._at)
        if match is None:
            return False
        self._at = match.end()
        operator = match[1]
        self._blank()
        if operator in ("<<", "<<-"):
            self._announce(node, tabs=operator == "<<-")
            return True
        word = Word(self._raw_word())
        if operator == "<<<":
            node.redirects.append(Redirect("<<<", document=word.text + "\n" if word.known else None))
        elif not (operator in (">&", "<&") and re.fullmatch(r"\d*-?", word.raw)):
            node.redirects.append(Redirect(operator, word))
        return True

    # Here-documents.

    def _announce(self, node: Node, *, tabs: bool) -> None:
        start = self._at
        end = Word(self._text(expand=False)).text
        quoted = any(c in self._s[start : self._at] for c in "'\"\\")
        node.redirects.append(Redirect("<<"))
        self._documents.append(_Document(node, len(node.redirects) - 1, end, quoted, tabs))

    def _read_documents(self) -> None:
        waiting, self._documents = self._documents, []
        if not waiting:
            return
        for document in waiting:
            text = self._document_text(document)
            known: str | None = text
            if not document.quoted:
                inside = _Parser(text, self._variables, self._depth + 1)
                word = Word(inside._quoted())
                document.node.inner += inside._inner
                known = word.text if word.known else None
            document.node.redirects[document.index] = Redirect("<<", document=known)
        self._documents_end = self._at

    def _document_text(self, document: _Document) -> str:
        lines: list[str] = []
        while self._at < len(self._s):
            end = self._s.find("\n", self._at)
            end = len(self._s) if end < 0 else end
            line = self._s[self._at : end]
            self._at = min(end + 1, len(self._s))
            line = line.lstrip("\t") if document.tabs else line
            if line == document.end:
                return "".join(f"{line}\n" for line in lines)
            if not document.quoted and line.endswith("\\"):
                raise self._odd()  # a line goes on in the next, which may then not be the end
            lines.append(line)
        raise Unparsable(f"The here-document is not ended by {document.end!r}.")

    def _no_documents(self) -> None:
        if self._documents:
            raise Unparsable("A here-document has no text.")

    # Compound commands.

    def _body(self, *until: str) -> Node:
        node = self._list(set(until))
        self._expect(*until)
        return node

    def _if(self) -> Group:
        bodies = [self._body("then"), self._list({"elif", "else", "fi"})]
        while (word := self._expect("elif", "else", "fi")) != "fi":
            if word == "elif":
                bodies.append(self._body("then"))
            bodies.append(self._list({"elif", "else", "fi"}))
        return Group(bodies)

    def _while(self) -> Group:
        return Group([self._body("do"), self._body("done")])

    def _for(self) -> Group:
        self._blank()
        if self._peek("("):
            raise self._odd()
        self._words()
        self._blank(newlines=True)
        if self._peek_word() == "in":
            self._take_word()
            self._blank()
            while self._at < len(self._s) and self._s[self._at] not in ";\n":
                self._words()
                self._blank()
        self._take(";")
        self._expect("do")
        return Group([self._body("done")])

    def _case(self) -> Group:
        self._blank()
        self._words()
        self._expect("in")
        bodies: list[Node] = []
        while True:
            self._blank(newlines=True)
            if self._peek_word() == "esac":
                self._take_word()
                return Group(bodies)
            self._take("(")
            self._patterns()
            bodies.append(self._list({"esac", ";;", ";&", ";;&"}))
            any(self._take(end) for end in (";;&", ";;", ";&"))

    def _patterns(self) -> None:
        while True:
            self._blank()
            self._words()
            self._blank()
            if self._take(")"):
                return
            self._need("|")

    def _braces(self) -> Group:
        return Group([self._body("}")])

    def _test(self) -> Group:
        while True:
            while self._peek(" ") or self._peek("\t"):
                self._at += 1
            if self._at >= len(self._s) or self._s[self._at] in ";#\n":
                raise self._odd()
            if self._peek_word() == "]]":
                self._take_word()
                return Group([])
            if self._s[self._at] in "()<>&|" and not self._at_pipe():
                self._at += 1
            else:
                self._raw_word()

    def _named(self) -> Group:
        self._blank()
        return self._function(self._words()[0].text)

    def _function(self, name: str) -> Group:
        self._blank()
        if self._take("("):
            self._blank()
            self._need(")")
        self._blank(newlines=True)
        return Group([self._command()], function=name)

    # Small words.

    def _blank(self, *, newlines: bool = False) -> None:
        while self._at < len(self._s):
            if self._s[self._at] in " \t":
                self._at += 1
            elif self._peek("\\\n"):
                self._at += 2
            elif newlines and self._take("\n"):
                self._read_documents()
            elif self._peek("#") and self._begins_word():
                end = self._s.find("\n", self._at)
                self._at = len(self._s) if end < 0 else end
            else:
                return

    def _begins_word(self) -> bool:
        return self._at == 0 or self._s[self._at - 1] in META

    def _peek_word(self) -> str:
        """The unquoted text that comes next, where it may be a reserved word or end a list."""
        for end in (")", ";;&", ";;", ";&"):
            if self._peek(end):
                return end
        match = _PLAIN_WORD.match(self._s, self._at)
        return match[0] if match else ""

    def _take_word(self) -> str:
        word = self._peek_word()
        self._at += len(word)
        return word

    def _expect(self, *words: str) -> str:
        self._blank(newlines=True)
        if self._peek_word() not in words:
            raise self._odd()
        return self._take_word()
