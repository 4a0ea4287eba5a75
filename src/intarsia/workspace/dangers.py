"""Which commands other than git's are refused: those that destroy more than the session's own work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from intarsia.workspace import git_rules, options, wrappers, writes
from intarsia.workspace.commands import Simple
from intarsia.workspace.git_rules import Refusal
from intarsia.workspace.ground import Ground
from intarsia.workspace.words import PIPE, Word

_OWN = "Name files of your own directory, or of a temporary one."
_BY_TOOLS = (
    "Change the project's files with the tools of intarsia, or with: intarsia edit, write, insert, import, remove. "
    "Write all else below $TMPDIR."
)
_WITHOUT_CONTENT = ("mkdir", "chmod")
_INTERPRETERS = {"python", "perl", "ruby", "node", "php", "deno", "bun", "lua", "Rscript"}
_ALWAYS = {
    "wipefs": "It erases a disk.",
    "fdisk": "It changes a disk.",
    "sfdisk": "It changes a disk.",
    "parted": "It changes a disk.",
    "mkswap": "It erases a disk.",
    "shutdown": "It stops the machine.",
    "reboot": "It stops the machine.",
    "halt": "It stops the machine.",
    "poweroff": "It stops the machine.",
    "killall": "It ends processes of other sessions, too.",
    "pkill": "It ends processes of other sessions, too.",
}
_INSTEAD = {"killall": "End what you started: kill PID", "pkill": "End what you started: kill PID"}
# A variable that makes programs run something else.
_LOADERS = ("LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "PROMPT_COMMAND")


@dataclass(frozen=True)
class Rules:
    ground: Ground
    shared: bool = False

    def judge(self, simple: Simple) -> Refusal | None:
        """The first objection to this command itself; what it would run in turn is judged by itself."""
        return self._program(simple) or self._writes(simple)

    def _program(self, simple: Simple) -> Refusal | None:
        if any(name in _LOADERS for name in simple.assigned):
            return Refusal("It makes programs run something else.", "Leave that variable out.")
        if not simple.words:
            return None
        name = simple.name
        if not name or name.startswith("="):
            return Refusal(
                "The program to run is not written out.", "Write its name instead of a variable or a pattern."
            )
        if name in _ALWAYS or name.startswith("mkfs"):
            return Refusal(_ALWAYS.get(name, "It erases a disk."), _INSTEAD.get(name, "Leave it to a person."))
        if name == "git":
            return git_rules.judge(simple, lambda word: self._is_own(word, simple), shared=self.shared)
        rule = _RULES.get(name)
        if rule is not None:
            return rule(self, simple)
        if name.rstrip("0123456789.") in _INTERPRETERS and simple.input.streamed and _runs_input(simple):
            return Refusal(f"What {name} would run comes from another program.", "Save it, read it, then run the file.")
        return None

    def _is_own(self, word: Word, simple: Simple) -> bool:
        found = self.ground.paths(word, simple.places)
        near = (self.ground.root, *self.ground.writable)
        return found is not None and all(any(path.is_relative_to(place) for place in near) for path in found)

    def _writes(self, simple: Simple) -> Refusal | None:
        words, _ = writes.named(simple)
        for word in words:
            if word.raw != PIPE and self.ground.may_write(word, simple.places) is False:
                return Refusal(f"{word.text} is not in the session's own directory, or belongs to git.", _OWN)
        return self._edits_shared(simple, words) if self.shared else None

    def _edits_shared(self, simple: Simple, words: Sequence[Word]) -> Refusal | None:
        """Files that others edit too: what a shell writes over them, nobody has arbitrated."""
        if simple.name in _WITHOUT_CONTENT:
            words, _ = writes.named(replace(simple, words=()))
        for word in words:
            if self.ground.may_touch(word, simple.places):
                named = word.text if word.known else "What it would write"
                return Refusal(f"{named} may be a file of the tree that others edit at the same moment.", _BY_TOOLS)
        return None

    def remove(self, simple: Simple) -> Refusal | None:
        found = options.read(simple.args)
        deep = found.has("-r", "-R", "--recursive")
        for word in found.everything:
            if self.ground.sweeps_all(word, simple.places):
                if deep or word.magic:
                    return Refusal(f"{word.text} is everything there is.", _OWN)
            elif deep and self.ground.may_write(word, simple.places) is None:
                return Refusal("It can't be told what it would delete.", "Write the path out: rm -r ./PATH")
        if found.hidden and not deep and not found.everything:
            return Refusal("It can't be told what it would delete.", "Write the path out: rm ./PATH")
        return None

    def owner(self, simple: Simple) -> Refusal | None:
        """chmod, chown and chgrp."""
        found = options.read(simple.args)
        if not found.has("-R", "--recursive"):
            return None
        for word in found.everything[1:]:
            if self.ground.may_write(word, simple.places) is None:
                return Refusal("It can't be told which files it would change.", "Write the path out.")
            if self.ground.sweeps_all(word, simple.places) and not self._is_own(word, simple):
                return Refusal(f"{word.text} is more than your own directory.", _OWN)
        return None

    def find(self, simple: Simple) -> Refusal | None:
        if not any(word.text == "-delete" for word in simple.args):
            return None
        for start in wrappers.find_starts(simple.args):
            found = self.ground.paths(start, simple.places)
            if found is None or not all(self.ground.holds(path) or path == self.ground.root for path in found):
                return Refusal(f"It would delete what is below {start.text!r}.", _OWN)
            if self.ground.sweeps_all(start, simple.places) and not wrappers.find_selects(simple.args):
                return Refusal("It would delete everything there is.", "Say which: find . -name PATTERN -delete")
        return None

    def copy_raw(self, simple: Simple) -> Refusal | None:
        if any(word.text.startswith("if=") or not word.known for word in simple.args):
            return Refusal("dd overwrites whatever it is given.", "Use cp, or head -c BYTES FILE > OTHER")
        return None

    def end_all(self, simple: Simple) -> Refusal | None:
        """`kill -1`: every process there is."""
        words = [word.text for word in simple.args]
        targets = words[1:] if words and words[0].startswith("-") and words[0] != "--" else words
        if "-1" in targets or words == ["-1"]:
            return Refusal("It ends every process.", "End what you started: kill PID")
        return None


def _runs_input(simple: Simple) -> bool:
    words = [word.text for word in simple.args]
    return not words or words[0] in ("-", "/dev/stdin")


_RULES: dict[str, Callable[[Rules, Simple], Refusal | None]] = {
    "rm": Rules.remove,
    "chmod": Rules.owner,
    "chown": Rules.owner,
    "chgrp": Rules.owner,
    "find": Rules.find,
    "dd": Rules.copy_raw,
    "kill": Rules.end_all,
}
