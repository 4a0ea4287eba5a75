"""How a language writes the lists and bodies that two features extend at once."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Form(Struct, frozen=True, kw_only=True):
    """One kind of list in one language. `{n}` in an item is a letter that differs from member to member, `{v}` a value.

    `no` says what is not provably independent there: `both` adding at one place; adding at places `apart`; one adding
    where the other does a `removal`; both making `changes` to different members; one adding, one changing: `mixed`.
    Without `keyed`, two members of one name are no contradiction.
    """

    kind: str
    language: str = ""
    head: str
    item: str
    changed: str
    tail: str
    separator: str = ","
    trailing: bool = False
    margin: str = "    "
    lines: bool = True
    one_line: bool = False
    note: str = "//"
    no: str = ""

    def may(self, what: str) -> bool:
        return what not in self.no.split()

    def member(self, letter: str) -> str:
        return self.item.format(n=letter, v=ord(letter) * 7 % 1009)

    def other(self, letter: str, value: int = 5000) -> str:
        return self.changed.format(n=letter, v=ord(letter) * 11 + value)


def form(kind: str, head: str, item: str, changed: str, tail: str, **more: Any) -> Form:
    return Form(kind=kind, head=head, item=item, changed=changed, tail=tail, **more)


def inline(kind: str, head: str, item: str, changed: str, tail: str, **more: Any) -> Form:
    """All members on one line."""
    return form(kind, head, item, changed, tail, lines=False, one_line=True, **more)
