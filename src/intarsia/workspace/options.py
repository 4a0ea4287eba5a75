"""The options of a command, as getopt_long(3) reads them: clusters, attached values, abbreviations, `--`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from intarsia.workspace.words import UNKNOWN, UNKNOWNS, Word


@dataclass
class Options:
    """`flags` as written, clusters taken apart; `hidden`: a word that is not known may be an option."""

    flags: list[str] = field(default_factory=list)
    values: dict[str, Word] = field(default_factory=dict)
    positionals: list[Word] = field(default_factory=list)
    after_dashes: list[Word] | None = None
    hidden: bool = False

    def has(self, *names: str) -> bool:
        """Whether one of these was given; a long one may be abbreviated."""
        return any(_means(flag, name) for flag in self.flags for name in names)

    @property
    def everything(self) -> list[Word]:
        return [*self.positionals, *(self.after_dashes or [])]


def read(args: Sequence[Word], valued: Collection[str] = ()) -> Options:
    """`valued` are the options that take the next word when nothing is attached to them."""
    found = Options()
    i = 0
    while i < len(args):
        word, text = args[i], args[i].text
        i += 1
        if text == "--":
            found.after_dashes = list(args[i:])
            break
        if word.raw[:1] in (UNKNOWN, UNKNOWNS):
            found.hidden = True
        if not text.startswith("-") or text == "-":
            found.positionals.append(word)
        elif _takes_next(found, word, valued) and i < len(args):
            found.values[found.flags[-1]] = args[i]
            found.hidden = found.hidden or not args[i].one
            i += 1
    return found


def _takes_next(found: Options, word: Word, valued: Collection[str]) -> bool:
    """Note the option or the cluster; whether its value is the next word."""
    text = word.text
    if text.startswith("--"):
        name, equals, _ = text.partition("=")
        found.flags.append(name)
        if equals:
            found.values[name] = Word(word.raw.partition("=")[2])
        return not equals and name in valued
    for j, letter in enumerate(text[1:], start=1):
        name = f"-{letter}"
        found.flags.append(name)
        if name in valued:
            if text[j + 1 :]:
                found.values[name] = Word(word.raw[j + 1 :])
                return False
            return True
    return False


def _means(flag: str, name: str) -> bool:
    return flag == name or (flag.startswith("--") and name.startswith("--") and len(flag) > 3 and name.startswith(flag))
