"""Which git commands are refused: those that throw work away, rewrite what others see, or go around the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from intarsia.workspace import options
from intarsia.workspace.commands import Simple
from intarsia.workspace.options import Options
from intarsia.workspace.words import Word


@dataclass(frozen=True)
class Refusal:
    """Why not, and what to do instead."""

    reason: str
    instead: str = ""


@dataclass(frozen=True)
class Call:
    """One git command without git's own options; `elsewhere` are the repositories that those name."""

    name: str
    args: tuple[Word, ...]
    elsewhere: tuple[Word, ...] = ()
    settings: tuple[str, ...] = ()


READERS = set(
    """annotate blame cat-file check-attr check-ignore check-mailmap check-ref-format cherry count-objects describe diff
    diff-files diff-index diff-tree for-each-ref fsck grep help log ls-files ls-remote ls-tree merge-base name-rev
    range-diff rev-list rev-parse shortlog show show-branch show-index show-ref status var verify-commit verify-pack
    verify-tag version whatchanged""".split()  # noqa: SIM905
)
_WRITERS = set(
    """add am apply archive bisect branch bundle checkout checkout-index cherry-pick clean clone commit commit-graph
    commit-tree config credential difftool fast-export fetch filter-branch filter-repo format-patch gc hash-object init
    interpret-trailers lfs mailinfo mailsplit maintenance merge merge-file merge-tree mergetool mktag mktree mv notes
    pack-objects pack-refs patch-id prune pull push read-tree rebase reflog remote repack replace request-pull rerere
    reset restore revert rm sparse-checkout stage stash stripspace submodule switch symbolic-ref tag unpack-file
    update-index update-ref update-server-info worktree write-tree""".split()  # noqa: SIM905
)
_GLOBAL_VALUED = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env", "--attr-source",
                  "--super-prefix")  # fmt: skip
_VALUED: dict[str, tuple[str, ...]] = {
    "commit": ("-m", "-F", "-C", "-c", "-t", "--message", "--file", "--author", "--date", "--reuse-message",
               "--reedit-message", "--template", "--fixup", "--squash", "--trailer", "--cleanup",
               "--pathspec-from-file"),
    "push": ("-o", "--push-option", "--repo", "--receive-pack", "--exec"),
    "pull": ("-s", "-X", "--strategy", "--strategy-option", "--depth", "--upload-pack", "-o", "-j"),
    "merge": ("-m", "-F", "-s", "-X", "--message", "--file", "--strategy", "--strategy-option", "--into-name"),
    "checkout": ("-b", "-B", "--orphan", "--conflict", "--pathspec-from-file"),
    "switch": ("-c", "-C", "--create", "--force-create", "--orphan", "--conflict"),
    "restore": ("-s", "--source", "--conflict", "--pathspec-from-file"),
    "clean": ("-e", "--exclude"),
    "config": ("-f", "--file", "--blob", "--type", "--default", "--comment", "--value"),
    "branch": ("-u", "--set-upstream-to", "--sort", "--format", "--points-at"),
    "cherry-pick": ("-m", "-s", "-X", "--mainline", "--strategy", "--strategy-option"),
    "revert": ("-m", "--mainline", "--strategy", "-X"),
    "am": ("-C", "-p", "--directory", "--exclude", "--include", "--patch-format"),
}  # fmt: skip
# Settings that make git run a program, or forget a guard.
_UNSAFE_SETTINGS = ("alias.", "core.hookspath", "core.fsmonitor", "core.sshcommand", "core.gitproxy", "include.path",
                    "includeif.", "filter.", "clean.requireforce", "core.worktree")  # fmt: skip
_UNSAFE_VARIABLES = ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", "GIT_CONFIG_PARAMETERS",
                     "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                     "GIT_EXEC_PATH")  # fmt: skip
_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR")
# What acts on files, index or branch of a tree that several sessions share.
_IN_SHARED = {"add", "am", "apply", "cherry-pick", "commit", "merge", "mv", "pull", "revert", "rm", "stage", "switch",
              "checkout", "read-tree", "update-index", "mergetool", "bisect", "sparse-checkout"}  # fmt: skip

_BY_HAND = "Undo your own change by editing the file, or by: git revert COMMIT"
_KEPT = "Commit what you want to keep: git add FILE && git commit -m 'WHY'"


def call(args: Sequence[Word]) -> Call | None:
    """None when it can't be told which command of git it is."""
    elsewhere: list[Word] = []
    settings: list[str] = []
    i = 0
    while i < len(args):
        word, text = args[i], args[i].text
        if not word.known and not text.startswith(tuple(f"{name}=" for name in _GLOBAL_VALUED)):
            return None
        if not text.startswith("-"):
            return Call(text, tuple(args[i + 1 :]), tuple(elsewhere), tuple(settings))
        name, equals, _ = text.partition("=")
        value = Word(word.raw.partition("=")[2]) if equals else None
        if name in _GLOBAL_VALUED and value is None and i + 1 < len(args):
            i += 1
            value = args[i]
        if value is not None and name in ("-C", "--git-dir", "--work-tree"):
            elsewhere.append(value)
        if value is not None and name in ("-c", "--config-env", "--exec-path"):
            settings.append(value.text.lower() if name != "--exec-path" else "alias.")
        i += 1
    return Call("", (), tuple(elsewhere), tuple(settings))


def judge(simple: Simple, inside: Callable[[Word], bool | None], *, shared: bool = False) -> Refusal | None:
    """`inside` says whether a directory belongs to the session."""
    made = call(simple.args)
    if made is None:
        return Refusal("It can't be told which git command this is.", "Write the command of git out.")
    if made.name == "":
        return None
    for name in simple.assigned:
        if name.startswith(_UNSAFE_VARIABLES):
            return Refusal(f"{name} changes how git behaves.", "Leave it out.")
    if any(setting.startswith(_UNSAFE_SETTINGS) for setting in made.settings):
        return Refusal("This setting makes git run something else, or forget a guard.", "Leave the -c out.")
    if made.name not in READERS | _WRITERS:
        return Refusal(f"git {made.name} is no command of git: an alias or a program.", "Write out what it stands for.")
    others = [*made.elsewhere, *(word for name, word in simple.assigned.items() if name in _PLACES)]
    if made.name not in READERS and any(not inside(word) for word in others):
        return Refusal("It changes another repository than the session's own.", "Work in your own directory.")
    read = options.read(made.args, _VALUED.get(made.name, ()))
    if read.has("--no-verify"):
        return Refusal("--no-verify passes over the project's hooks.", "Leave it out, and mend what the hook finds.")
    if shared and made.name in _IN_SHARED:
        return Refusal(
            f"git {made.name} acts on the whole tree, which others edit too.",
            "Use: intarsia edit, and intarsia commit",
        )
    rule = _RULES.get(made.name)
    if rule is None:
        return None
    refusal = rule(read)
    if refusal is None and read.hidden and made.name in _NO_HIDDEN:
        return Refusal(
            f"A part of this git {made.name} is not written out and may be an option.",
            "Write it out, or put -- before it.",
        )
    return refusal


def _reset(read: Options) -> Refusal | None:
    modes = ("--hard", "--mixed", "--soft", "--keep", "--merge", "-p", "--patch", "--recurse-submodules")
    if read.has(*modes) or read.positionals or read.after_dashes is None:
        return Refusal(
            "git reset moves the branch or throws changes away.", f"To unstage: git restore --staged FILE. {_BY_HAND}"
        )
    return None


def _checkout(read: Options) -> Refusal | None:
    forced = read.has("-f", "--force", "-B", "-p", "--patch") or "-f" in read.flags
    creates = read.has("-b", "--orphan", "-t", "--track", "-d", "--detach") and read.after_dashes is None
    resolves = read.has("--theirs", "--ours")
    if not forced and (resolves or (creates and len(read.positionals) <= 1)):
        return None
    return Refusal(
        "git checkout overwrites files when what it is given is a path.", f"For a branch: git switch NAME. {_BY_HAND}"
    )


def _switch(read: Options) -> Refusal | None:
    if read.has("-f", "--force", "--discard-changes", "-C", "--force-create"):
        return Refusal("It throws changes away.", "Commit first, then: git switch NAME")
    return None


def _restore(read: Options) -> Refusal | None:
    if read.has("--staged", "-S") and not read.has("--worktree", "-W"):
        return None
    return Refusal("git restore overwrites files.", f"To unstage: git restore --staged FILE. {_BY_HAND}")


def _clean(read: Options) -> Refusal | None:
    if read.has("-n", "--dry-run"):
        return None
    return Refusal("git clean deletes files for good.", "See them: git clean -n. Remove your own by name: rm FILE")


def _stash(read: Options) -> Refusal | None:
    if read.positionals and read.positionals[0].text in ("list", "show"):
        return None
    return Refusal("git stash takes changes away that others may need.", _KEPT)


def _rebase(read: Options) -> Refusal | None:
    return Refusal(
        "git rebase rewrites commits.", "Merge instead: git merge BRANCH. intarsia rebases when it lands your work."
    )


def _branch(read: Options) -> Refusal | None:
    if read.has("-D", "-M", "-C", "-f", "--force"):
        return Refusal("It deletes or overwrites a branch.", "Delete what is merged: git branch -d NAME")
    return None


def _commit(read: Options) -> Refusal | None:
    if read.has("-n"):
        return Refusal("-n passes over the project's hooks.", "Leave it out, and mend what the hook finds.")
    if read.has("--amend"):
        return Refusal("--amend rewrites a commit.", "Make another one: git commit -m 'WHY'")
    if read.has("-a", "--all"):
        return Refusal("--all commits whatever has changed.", "Name your files: git add FILE && git commit -m 'WHY'")
    return None


def _undoing(read: Options) -> Refusal | None:
    if read.has("--abort", "--skip"):
        return Refusal("It throws away what was resolved so far.", "Resolve the conflicts: git add FILE && git commit")
    return None


def _push(read: Options) -> Refusal | None:
    refs = [word.text for word in read.everything]
    if read.has("-f", "--mirror", "--delete", "-d", "--prune") or "--force" in read.flags:
        return Refusal(
            "It overwrites or deletes what others pushed.", "Leave pushing to intarsia, or: git push --force-with-lease"
        )
    if any(ref.startswith(("+", ":")) for ref in refs):
        return Refusal("A + or : before a name forces the push or deletes.", "Leave it out: git push REMOTE BRANCH")
    return None


def _pull(read: Options) -> Refusal | None:
    rebases = read.has("--rebase", "-r") and read.values.get("--rebase", Word("true")).text != "false"
    if rebases or read.has("-f", "--force"):
        return Refusal("It rewrites commits.", "Merge instead: git pull --no-rebase")
    return None


def _worktree(read: Options) -> Refusal | None:
    if read.positionals and read.positionals[0].text == "list":
        return None
    return Refusal("Worktrees are given out by intarsia.", "Work in your own directory; see: git worktree list")


def _submodule(read: Options) -> Refusal | None:
    if read.positionals and read.positionals[0].text == "deinit":
        return Refusal("It deletes a submodule's files.", "Leave it as it is.")
    return None


def _config(read: Options) -> Refusal | None:
    reads = ("--get", "--get-all", "--get-regexp", "--get-urlmatch", "--list", "-l", "--get-color", "--get-colorbool")
    words = [word.text for word in read.everything]
    writes = (
        "--unset",
        "--unset-all",
        "--add",
        "--replace-all",
        "--edit",
        "-e",
        "--rename-section",
        "--remove-section",
    )
    if read.has(*writes) or not (read.has(*reads) or words[:1] in (["get"], ["list"]) or len(words) == 1):
        return Refusal(
            "It changes git's configuration.",
            "Read it: git config --get NAME",
        )
    return None


def _remote(read: Options) -> Refusal | None:
    words = [word.text for word in read.positionals]
    if not words or words[0] in ("show", "get-url", "update"):
        return None
    return Refusal("It changes the remotes.", "See them: git remote -v")


def _reflog(read: Options) -> Refusal | None:
    if read.positionals and read.positionals[0].text in ("expire", "delete"):
        return Refusal("It deletes the record that lost work is found by.", "See it: git reflog show")
    return None


def _gc(read: Options) -> Refusal | None:
    if read.has("--prune", "--aggressive", "--force"):
        return Refusal("It deletes objects that may be needed.", "Leave it to git.")
    return None


def _update_index(read: Options) -> Refusal | None:
    if read.has("--assume-unchanged", "--skip-worktree", "--index-info", "--cacheinfo", "--force-remove"):
        return Refusal("It hides changes from git.", "Stage files: git add FILE")
    return None


def _symbolic_ref(read: Options) -> Refusal | None:
    if len(read.everything) == 1 and not read.has("-d", "--delete"):
        return None
    return Refusal("It moves a branch or HEAD.", "For a branch: git switch NAME")


def _tag(read: Options) -> Refusal | None:
    if read.has("-d", "--delete", "-f", "--force"):
        return Refusal("It deletes or moves a tag.", "Make a new one: git tag NAME")
    return None


def _read_tree(read: Options) -> Refusal | None:
    if read.has("--reset", "-u"):
        return Refusal("It overwrites files.", _BY_HAND)
    return None


def _never(read: Options) -> Refusal | None:
    return Refusal("It rewrites or deletes commits and branches past all guards.", _KEPT)


_RULES: dict[str, Callable[[Options], Refusal | None]] = {
    "am": _undoing,
    "branch": _branch,
    "checkout": _checkout,
    "checkout-index": _never,
    "cherry-pick": _undoing,
    "clean": _clean,
    "commit": _commit,
    "config": _config,
    "filter-branch": _never,
    "filter-repo": _never,
    "gc": _gc,
    "maintenance": _never,
    "merge": _undoing,
    "prune": _never,
    "pull": _pull,
    "push": _push,
    "read-tree": _read_tree,
    "rebase": _rebase,
    "reflog": _reflog,
    "remote": _remote,
    "replace": _never,
    "reset": _reset,
    "restore": _restore,
    "revert": _undoing,
    "stash": _stash,
    "submodule": _submodule,
    "switch": _switch,
    "symbolic-ref": _symbolic_ref,
    "tag": _tag,
    "update-index": _update_index,
    "update-ref": _never,
    "worktree": _worktree,
}
_NO_HIDDEN = {"am", "branch", "cherry-pick", "commit", "gc", "merge", "pull", "push", "reflog", "revert", "submodule",
              "switch", "tag", "update-index"}  # fmt: skip
