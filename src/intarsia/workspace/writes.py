"""Which files a simple command would write."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from intarsia.workspace import git_rules, options, wrappers
from intarsia.workspace.commands import Simple
from intarsia.workspace.ground import Ground
from intarsia.workspace.words import Word, literal

LONGEST_PATCH = 1_000_000
WRITING = (">", ">>", ">|", ">&", "&>", "&>>", "<>")
Named = list[Word]

# Programs that write nothing but what redirections say.
READERS = set(
    """: [ alias b2sum base64 basename bg break cal cat cd cksum cmp column comm continue cut date df diff dig dirname
    dirs du echo egrep exit expand export expr false fg fgrep fold free getconf getent getopts grep groups hash head
    help hexdump host hostname iconv id jobs join jq kill let local locale logname look ls lsof man md5sum mount nl
    nproc nslookup numfmt od paste pgrep pidof ping popd pr printenv printf ps pushd pwd read readlink readonly realpath
    return rev rg seq set sha1sum sha256sum sha512sum shift shuf sleep stat strings sum tac tail test times top tr true
    tsort tty type typeset ulimit umask unalias uname unset uptime vmstat wait wc whatis whereis which who whoami yes
    zcat zgrep declare""".split()  # noqa: SIM905
)
_VALUED: dict[str, tuple[str, ...]] = {
    "touch": ("-d", "-r", "-t", "--date", "--reference"),
    "truncate": ("-s", "-r", "--size", "--reference"),
    "mkdir": ("-m", "--mode"),
    "shred": ("-n", "-s", "--iterations", "--size"),
    "install": ("-m", "-o", "-g", "-t", "-S", "--mode", "--owner", "--group", "--target-directory"),
    "cp": ("-t", "-S", "--target-directory", "--suffix"),
    "mv": ("-t", "-S", "--target-directory", "--suffix"),
    "ln": ("-t", "-S", "--target-directory", "--suffix"),
    "rsync": ("-e", "-f", "--exclude", "--include", "--filter", "--rsh"),
}


@dataclass(frozen=True)
class Writes:
    """`paths`, absolute, and whether these are all that the command may write."""

    paths: tuple[Path, ...]
    complete: bool


def named(simple: Simple) -> tuple[Named, bool]:
    """The words that name what is written, and whether they are all."""
    redirected = [r.target for r in simple.redirects if r.target is not None and r.operator in WRITING]
    if not simple.words:
        return redirected, True
    if simple.name in _TARGETS:
        found, complete = _TARGETS[simple.name](simple)
    else:
        found, complete = [], simple.name in READERS or wrappers.shows(simple.name, simple.args, simple.input.text)
    return [*redirected, *found], complete


def written(simple: Simple, ground: Ground) -> Writes:
    """The files on disk that the words stand for."""
    words, complete = named(simple)
    paths: list[Path] = []
    for word in words:
        found = ground.matches(word, simple.places)
        complete = complete and found is not None
        paths += [path for path in found or () if not path.is_relative_to("/dev")]
    return Writes(tuple(dict.fromkeys(paths)), complete)


def _everything(simple: Simple) -> tuple[Named, bool]:
    found = options.read(simple.args, _VALUED.get(simple.name, ()))
    return found.everything, not found.hidden


def _after_first(simple: Simple) -> tuple[Named, bool]:
    """`chmod MODE FILES`"""
    found = options.read([word for word in simple.args if not re.fullmatch(r"-[rwxst]+", word.text)])
    return found.everything[0 if found.has("--reference") else 1 :], not found.hidden


def _destination(simple: Simple) -> tuple[Named, bool]:
    """`cp SOURCES DESTINATION`, which may be a directory."""
    found = options.read(simple.args, _VALUED.get(simple.name, ()))
    sources = found.everything
    target = next((v for k, v in found.values.items() if k in ("-t", "--target-directory")), None)
    if target is None and len(sources) == 1 and simple.name == "ln":
        target = literal(".")
    elif target is None:
        target, sources = (sources[-1], sources[:-1]) if len(sources) > 1 else (literal("."), sources)
    if simple.name == "install" and found.has("-d", "--directory"):
        return found.everything, not found.hidden
    places = [place / target.text for place in simple.places or ()] if target.known and not target.magic else []
    several = len(sources) > 1 or found.has("-t", "--target-directory")
    if several or target.text.endswith("/") or any(place.is_dir() for place in places):
        inside = [Word(f"{target.raw.rstrip('/')}/{_last(source)}") for source in sources]
    else:
        inside = [target]
    return [*inside, *(sources if simple.name == "mv" else [])], not found.hidden


def _last(word: Word) -> str:
    return word.raw.rstrip("/").rpartition("/")[2]


def _in_place(simple: Simple) -> tuple[Named, bool]:
    """`sed -i`, `perl -i`, `ruby -i`: the files after the script."""
    valued = ("-e", "-f", "--expression", "--file", "-l", "-E")
    found = options.read([_bare_i(word) for word in simple.args], valued)
    files = found.everything
    if not found.has("-i", "--in-place"):
        return _sed_writes(simple, found)
    if not found.has("-e", "-f", "--expression", "--file", "-E") or (simple.name == "sed" and _no_script(found)):
        files = files[1:]
    return files, not found.hidden


def _no_script(found: options.Options) -> bool:
    return not found.has("-e", "-f", "--expression", "--file")


def _bare_i(word: Word) -> Word:
    """`-i.bak`: what follows is a suffix and no cluster of options."""
    match = re.match(r"-([A-Za-df-hj-z0]*)i(?![a-z]*e$)", word.text)
    return literal(match[0]) if match and not word.text.startswith("--") else word


def _sed_writes(simple: Simple, found: options.Options) -> tuple[Named, bool]:
    """A script of sed may write files by `w`; those of perl and ruby may do anything."""
    if simple.name != "sed":
        return [], False
    scripts = [v.text for k, v in found.values.items() if k in ("-e", "--expression")] or [
        word.text for word in found.everything[:1]
    ]
    return [], not any(re.search(r"(^|[;{/0-9 ])[wWe]\s|/[gpIiMm0-9]*[we]", script) for script in scripts)


def _dd(simple: Simple) -> tuple[Named, bool]:
    return [Word(word.raw[3:]) for word in simple.args if word.text.startswith("of=")], True


def _sort(simple: Simple) -> tuple[Named, bool]:
    found = options.read(simple.args, ("-o", "-k", "-t", "-S", "-T", "--output", "--key"))
    return [v for k, v in found.values.items() if k in ("-o", "--output")], not found.hidden


def _curl(simple: Simple) -> tuple[Named, bool]:
    found = options.read(simple.args, ("-o", "-O", "-d", "-H", "-X", "-u", "-A", "--output", "--output-document"))
    where = [v for k, v in found.values.items() if k in ("-o", "--output", "--output-document")]
    if simple.name == "wget":
        where += [v for k, v in found.values.items() if k == "-O"]
        return where, bool(where) and not found.hidden
    return where, not found.hidden and not any(flag in ("-O", "--remote-name") for flag in found.flags)


def _awk(simple: Simple) -> tuple[Named, bool]:
    text = " ".join(word.text for word in simple.args)
    return [], not (
        any(part in text for part in (">", "|", "system", "-f", "-i")) or not all(w.known for w in simple.args)
    )


def _find(simple: Simple) -> tuple[Named, bool]:
    out = [simple.args[i + 1] for i, w in enumerate(simple.args[:-1]) if w.text in ("-fprint", "-fls", "-fprintf")]
    deletes = any(word.text == "-delete" for word in simple.args)
    return out, not deletes


def _patch(simple: Simple) -> tuple[Named, bool]:
    """The files that a patch names, where its text is at hand."""
    found = options.read(simple.args, ("-p", "-i", "-d", "-o", "--input", "--directory", "--strip", "--output"))
    text = simple.input.text
    if text is None:
        files = [v for k, v in found.values.items() if k in ("-i", "--input")] or found.everything[-1:]
        files = (
            files
            if simple.name == "git" or "-i" in found.flags
            else [r.target for r in simple.redirects if r.operator == "<" and r.target]
        )
        text = _content(simple, files[0]) if files else None
    if text is None or found.has("-d", "--directory"):
        return [], False
    strip = next(
        (v.text for k, v in found.values.items() if k in ("-p", "--strip")), "1" if simple.name == "git" else ""
    )
    return patched(text, int(strip) if strip.isdigit() else 0), True


def _content(simple: Simple, file: Word) -> str | None:
    if not file.known or simple.places is None or len(simple.places) != 1:
        return None
    (place,) = simple.places
    path = place / file.text
    try:
        if not path.is_file() or path.stat().st_size > LONGEST_PATCH:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def patched(text: str, strip: int = 1) -> list[Word]:
    """Files named by a unified diff, or by the format that Codex uses."""
    own = re.findall(r"^\*\*\* (?:Add|Update|Delete|Move to)(?: File)?: (.+?)\s*$", text, re.MULTILINE)
    names = re.findall(r"^(?:---|\+\+\+) ([^\t\n]+)", text, re.MULTILINE)
    names += re.findall(r"^rename (?:from|to) (.+)$", text, re.MULTILINE)
    stripped = [name.split("/", strip)[-1] for name in names if name.strip() != "/dev/null"]
    return [literal(name) for name in dict.fromkeys([*own, *stripped])]


def _apply_patch(simple: Simple) -> tuple[Named, bool]:
    text = simple.args[0].text if simple.args and simple.args[0].known else simple.input.text
    return (patched(text), True) if text else ([], False)


def _git(simple: Simple) -> tuple[Named, bool]:
    call = git_rules.call(simple.args)
    if call is None or call.elsewhere:
        return [], False
    if call.name in git_rules.READERS:
        return [], True
    if call.name == "apply":
        return _patch(Simple((literal("git"), *call.args), {}, simple.redirects, simple.places, simple.input))
    found = options.read(call.args)
    if call.name in ("rm", "mv"):
        return found.everything, not found.hidden
    if call.name == "restore" and found.has("--staged", "-S") and not found.has("--worktree", "-W"):
        return [], True
    return [], call.name in ("add", "commit", "branch", "tag", "fetch", "push", "remote", "notes", "rerere", "stash")


_TARGETS: dict[str, Callable[[Simple], tuple[Named, bool]]] = {
    **dict.fromkeys(("tee", "touch", "truncate", "rm", "unlink", "rmdir", "shred", "mkdir", "mkfifo"), _everything),
    **dict.fromkeys(("chmod", "chown", "chgrp"), _after_first),
    **dict.fromkeys(("cp", "mv", "install", "ln", "rsync"), _destination),
    **dict.fromkeys(("sed", "gsed", "perl", "ruby"), _in_place),
    **dict.fromkeys(("curl", "wget"), _curl),
    **dict.fromkeys(("awk", "gawk", "mawk"), _awk),
    "dd": _dd,
    "sort": _sort,
    "find": _find,
    "patch": _patch,
    "apply_patch": _apply_patch,
    "git": _git,
}
