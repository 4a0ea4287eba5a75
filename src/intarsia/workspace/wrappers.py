"""Programs that run another program: what that one would be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from intarsia.workspace.words import FOUND, PIPE, UNKNOWN, UNKNOWNS, Unparsable, Word, literal

# A program and its arguments, or the source of a command line.
Inside = tuple[Word, ...] | str
Args = Sequence[Word]

_STANDARD_INPUT = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash", "fish"}
# Options that take the next word, and how many words stand before the command.
_PLAIN: dict[str, tuple[str, int]] = {
    "nohup": ("", 0),
    "setsid": ("", 0),
    "nice": ("-n --adjustment", 0),
    "ionice": ("-c -n -p --class --classdata", 0),
    "chrt": ("-T -P -D", 1),
    "taskset": ("", 1),
    "timeout": ("-s -k --signal --kill-after", 1),
    "gtimeout": ("-s -k --signal --kill-after", 1),
    "stdbuf": ("-i -o -e --input --output --error", 0),
    "time": ("-o -f --output --format", 0),
    "builtin": ("", 0),
    "exec": ("-a", 0),
    "doas": ("-u -C", 0),
    "sudo": ("-u -g -h -p -C -r -t -T -U -D -R --user --group --host --prompt --chdir --chroot --role --type", 0),
    "chroot": ("--userspec --groups", 1),
    "busybox": ("", 0),
    "toybox": ("", 0),
    "noglob": ("", 0),
    "nocorrect": ("", 0),
}
# Programs with a `run` of their own, whose options are not known here: each word is tried as the command.
_RUNNERS = {
    "uv", "uvx", "poetry", "pipenv", "pdm", "hatch", "rye", "npx", "bunx", "pnpm", "npm", "yarn", "bundle", "mise",
    "direnv", "nix", "nix-shell", "tox", "nox", "parallel", "fd", "fdfind", "entr", "script", "unshare", "nsenter",
    "bwrap", "firejail", "systemd-run", "run0", "pkexec", "setpriv", "runuser", "gosu", "strace", "ltrace", "valgrind",
    "gdb", "perf", "hyperfine", "xvfb-run", "dbus-run-session", "faketime", "proxychains", "proxychains4", "rlwrap",
    "caffeinate", "unbuffer", "tmux", "screen", "prlimit", "numactl", "fakeroot", "ssh",
}  # fmt: skip
_GUARDED = {
    "git", "rm", "find", "dd", "chmod", "chown", "mv", "cp", "tee", "sed", "wipefs", "killall", "pkill", "shutdown",
    "reboot", "halt", "poweroff",
}  # fmt: skip
_GUARDED_IN_TEXT = re.compile(r"(?<![\w./-])(git|rm|find|dd|chmod|chown|sh|bash|eval|sudo|xargs)\s")


def inside(name: str, args: Args, text: str | None, *, streamed: bool) -> Iterable[Inside]:
    """What `name` would run; `text` is what it is fed, `streamed` that this is not known. Raises Unparsable."""
    if name in SHELLS:
        return _shell(name, args, text, streamed)
    if name in _PLAIN:
        valued, positionals = _PLAIN[name]
        return _command(_rest(name, args, valued.split(), positionals))
    if name in _OTHERS:
        return _OTHERS[name](args)
    if name in _RUNNERS:
        return _any(args)
    return ()


def wraps(name: str) -> bool:
    return name in SHELLS or name in _PLAIN or name in _OTHERS or name in _RUNNERS


def shows(name: str, args: Args, text: str | None) -> bool:
    """Whether all that `name` does is to run what `inside` tells."""
    if name in SHELLS:
        return text is not None or any(word.text[:1] == "-" and "c" in word.text for word in args[:3])
    return name in _PLAIN or (name in _OTHERS and name not in (".", "source", "git"))


def _shell(name: str, args: Args, text: str | None, streamed: bool) -> Iterator[Inside]:
    """`-c SOURCE`, else a file, else what it is fed."""
    letters, i = "", 0
    while i < len(args):
        word = args[i]
        if _may_be_option(word):
            raise _opaque(name)
        option = word.text
        if option == "--" or option[:1] not in ("-", "+") or option == "-":
            i += option in ("--", "-")
            break
        if option.startswith("--"):
            letters += "c" if option == "--command" else ""
            i += option in ("--rcfile", "--init-file")
        else:
            letters += option[1:]
            i += option[-1] in "oO"
        i += 1
    rest = args[i:]
    if "c" in letters:
        yield _source(name, rest[0]) if rest else ""
    elif rest and PIPE in rest[0].raw:
        raise Unparsable(f"What {name} would run comes from another program.")
    elif not rest or "s" in letters or rest[0].text in _STANDARD_INPUT:
        if text is not None:
            yield text
        elif streamed:
            raise Unparsable(f"What {name} would run comes from another program.")


def _rest(name: str, args: Args, valued: Sequence[str], positionals: int) -> Args:
    """What follows the options and `positionals` words more."""
    i = 0
    while i < len(args):
        word = args[i]
        if _may_be_option(word):
            raise _opaque(name)
        if word.text == "--":
            i += 1
            break
        if not word.text.startswith("-") or word.text == "-":
            break
        i += 2 if word.text in valued else 1
    return args[i + positionals :]


def _may_be_option(word: Word) -> bool:
    return word.raw[:1] in (UNKNOWN, UNKNOWNS)


def _command(words: Args) -> Iterator[Inside]:
    if words:
        yield tuple(words)


def _source(name: str, *words: Word) -> str:
    if not all(word.known for word in words):
        raise _opaque(name)
    return " ".join(word.text for word in words)


def _opaque(name: str) -> Unparsable:
    return Unparsable(f"What {name} would run is not written out.")


def _eval(args: Args) -> Iterator[Inside]:
    yield _source("eval", *args)


def _trap(args: Args) -> Iterator[Inside]:
    rest = _rest("trap", args, [], 0)
    if len(rest) > 1 and rest[0].text not in ("-", ""):
        yield _source("trap", rest[0])


def _dot(args: Args) -> Iterator[Inside]:
    if args and (PIPE in args[0].raw or args[0].text.startswith(("/dev/stdin", "/dev/fd", "/proc/self/fd"))):
        raise Unparsable("What it would run comes from another program.")
    return iter(())


def _builtin_command(args: Args) -> Iterator[Inside]:
    if args and args[0].text in ("-v", "-V"):
        return iter(())
    return _command(_rest("command", args, [], 0))


def _env(args: Args) -> Iterator[Inside]:
    for i, word in enumerate(args):
        if word.text in ("-S", "--split-string"):
            yield _source("env", *args[i + 1 :])
            return
        if word.text.startswith(("-S", "--split-string=")):
            first = literal(word.text.removeprefix("--split-string=").removeprefix("-S"))
            yield _source("env", Word(first.raw if word.known else UNKNOWN), *args[i + 1 :])
            return
        if not word.text.startswith("-") and "=" not in word.text:
            break
    yield from _command(_rest("env", args, ["-u", "--unset", "-C", "--chdir"], 0))


_XARGS_VALUED = [
    "-I",
    "-n",
    "-P",
    "-L",
    "-d",
    "-E",
    "-s",
    "-a",
    "--max-args",
    "--max-procs",
    "--delimiter",
    "--arg-file",
]


def _xargs(args: Args) -> Iterator[Inside]:
    rest = _rest("xargs", args, _XARGS_VALUED, 0)
    slots = [args[i + 1].text for i, word in enumerate(args[:-1]) if word.text == "-I"]
    slots += [word.text[2:] for word in args if word.text.startswith("-I") and len(word.text) > 2]
    slots += ["{}" for word in args if word.text.startswith(("-i", "--replace"))]
    if slots:
        rest = [Word(UNKNOWN) if any(slot and slot in word.text for slot in slots) else word for word in rest]
    elif rest:
        rest = [*rest, Word(UNKNOWNS)]
    if rest:
        yield tuple(rest)


def _find(args: Args) -> Iterator[Inside]:
    """What `-exec` gets is found below the starting points; all that is there when nothing is sorted out."""
    starts = [word.raw for word in find_starts(args)]
    found = FOUND if find_selects(args) else "*"
    for i, word in enumerate(args):
        if word.text in ("-exec", "-execdir", "-ok", "-okdir"):
            end = next((j for j in range(i, len(args)) if args[j].text in (";", "+")), len(args))
            words: list[Word] = []
            for part in args[i + 1 : end]:
                if part.text == "{}":
                    words += [Word(f"{start.rstrip('/')}/{found}") for start in starts]
                else:
                    words.append(Word(UNKNOWN) if "{}" in part.text else part)
            if words:
                yield tuple(words)


def find_starts(args: Args) -> list[Word]:
    """Where `find` begins to look."""
    starts: list[Word] = []
    for word in args:
        if word.text in ("-H", "-L", "-P") and not starts:
            continue
        if word.text.startswith(("-", "(", "!")):
            break
        starts.append(word)
    return starts or [literal(".")]


def find_selects(args: Args) -> bool:
    """Whether `find` tells files apart by more than their type."""
    tests = (
        "-name", "-iname", "-path", "-ipath", "-wholename", "-regex", "-iregex", "-newer", "-mtime", "-mmin", "-empty",
        "-size", "-inum", "-samefile", "-atime", "-ctime", "-perm", "-lname",
    )  # fmt: skip
    return any(word.text in tests for word in args)


def _joined(args: Args) -> Iterator[Inside]:
    """`watch` and its like give their words to a shell."""
    rest = _rest("watch", args, ["-n", "--interval", "-q", "--equexit"], 0)
    yield _source("watch", *rest)


def _with_c(args: Args) -> Iterator[Inside]:
    """`su -c SOURCE`, `script -c SOURCE`."""
    for i, word in enumerate(args[:-1]):
        if word.text in ("-c", "--command"):
            yield _source("su", args[i + 1])
    for word in args:
        if word.text.startswith("--command="):
            yield _source("su", literal(word.text.removeprefix("--command=")))


def _flock(args: Args) -> Iterator[Inside]:
    yield from _with_c(args)
    yield from _command(_rest("flock", args, ["-w", "-E", "--timeout", "--conflict-exit-code"], 1))


def _git(args: Args) -> Iterator[Inside]:
    texts = [word.text for word in args]
    if "foreach" in texts and "submodule" in texts:
        rest = [
            word for word in args[texts.index("foreach") + 1 :] if word.text not in ("--recursive", "--quiet", "-q")
        ]
        yield _source("git submodule foreach", *rest)
    if "bisect" in texts and "run" in texts:
        yield from _command(args[texts.index("run") + 1 :])


def _any(args: Args) -> Iterator[Inside]:
    """Each word may begin the command, or be the whole of it."""
    for i, word in enumerate(args):
        if not word.known:
            continue
        name = os.path.basename(word.text)  # noqa: PTH119
        if wraps(name) or name in _GUARDED or name.startswith("mkfs"):
            yield tuple(args[i:])
        elif _GUARDED_IN_TEXT.search(word.text):
            yield word.text


_OTHERS: dict[str, Callable[[Args], Iterator[Inside]]] = {
    "eval": _eval,
    "trap": _trap,
    ".": _dot,
    "source": _dot,
    "command": _builtin_command,
    "env": _env,
    "xargs": _xargs,
    "gxargs": _xargs,
    "find": _find,
    "watch": _joined,
    "su": _with_c,
    "flock": _flock,
    "git": _git,
}
