"""`intarsia code merge`: three files made one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intarsia.cli.common import Output, with_output
from intarsia.errors import Conflict, InputError, UsageError

if TYPE_CHECKING:
    from intarsia.code.merging.merge import Conflict as Conflicting
    from intarsia.code.merging.merge import Overlap

existing = click.Path(path_type=Path, dir_okay=False)


class MergeConflict(Conflict):
    """`data["overlaps"]` names the symbols, with the text of each version."""

    code = "merge_conflict"


@click.command(short_help="Merge two versions of a file by symbol.")
@click.argument("base", type=existing)
@click.argument("ours", type=existing)
@click.argument("theirs", type=existing)
@click.option("--output", "-o", "place", type=existing, metavar="FILE", help="Write the result there, not on stdout.")
@click.option("--path", "name", metavar="NAME", help="The name that tells the language, if that of OURS doesn't.")
@click.option("--markers", is_flag=True, help="On a conflict, give the file all the same, with markers as git's.")
@with_output
def merge(
    output: Output, /, base: Path, ours: Path, theirs: Path, place: Path | None, name: str | None, markers: bool
) -> int:
    """Merge what OURS and THEIRS made of BASE: by symbol, and inside of symbols by their syntax.

    The result holds what both sides did, or there is none: nothing is guessed, and no line lost or doubled.

    \b
    Example:
      intarsia code merge base.py ours.py theirs.py --output merged.py

    Exit codes: 0 merged; 1 a conflict, which names the symbols and both sides; 4 a file can't be read.
    """
    from intarsia.code.languages import language_of
    from intarsia.code.merging.merge import Merged
    from intarsia.code.merging.merge import merge as merge_texts

    if markers and output.json and place is None:
        raise UsageError("--markers with --json needs a file to write to.", hint="Name one: --output FILE")
    old, mine, other = (_read(path) for path in (base, ours, theirs))
    merged = merge_texts(old, mine, other, language_of(name or ours.name, mine))
    if isinstance(merged, Merged):
        _give(output, place, merged.data, merged.how)
        return 0
    error = _conflict(merged, {"ours": ours, "theirs": theirs}, {"ours": mine, "theirs": other})
    if markers:
        _put(place, merged.marked((str(ours), str(base), str(theirs))))
    raise error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.") from error


def _give(output: Output, place: Path | None, data: bytes, how: str) -> None:
    if place is not None:
        place.write_bytes(data)
        output.show("", output=str(place), how=how)
    elif output.json:
        # JSON has no bytes: what is not UTF-8 comes back with encode("utf-8", "surrogateescape").
        output.show("", merged=data.decode("utf-8", "surrogateescape"), how=how)
    else:
        _put(None, data)


def _put(place: Path | None, data: bytes) -> None:
    if place is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        place.write_bytes(data)


def _conflict(found: Conflicting, files: dict[str, Path], texts: dict[str, bytes]) -> MergeConflict:
    listing = "".join(f"\n  {_said(overlap, files, texts)}" for overlap in found.overlaps)
    return MergeConflict(
        f"{files['ours']} and {files['theirs']} can't both be:{listing}",
        hint="Decide by hand: with --markers the file is written with both sides of each conflict.",
        overlaps=[_as_json(overlap) for overlap in found.overlaps],
    )


def _said(overlap: Overlap, files: dict[str, Path], texts: dict[str, bytes]) -> str:
    """The symbol, what happened to it, and where each side has it."""
    places = [
        f"{file}:{line}" if (line := _line(texts[side], getattr(overlap, side))) else f"{file} does not have it"
        for side, file in files.items()
    ]
    return f"{overlap.key or 'the file'}: {overlap.said} ({', '.join(places)})"


def _line(text: bytes, part: bytes | None) -> int | None:
    """The number of the line on which the part begins."""
    at = text.find(part.strip()) if part is not None else -1
    return text.count(b"\n", 0, at) + 1 if at >= 0 else None


def _as_json(overlap: Overlap) -> dict[str, str | None]:
    texts = {side: getattr(overlap, side) for side in ("base", "ours", "theirs")}
    shown = {
        side: text.decode("utf-8", "surrogateescape") if text is not None else None for side, text in texts.items()
    }
    return {"symbol": overlap.key, "kind": overlap.kind, "said": overlap.said, **shown}
