"""Whether a call of Python code can match a signature; an answer only where there is no doubt."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from msgspec import Struct


class Signature(Struct, gc=False, frozen=True):
    """Names of parameters; `required` are those without a default. `open` when it takes *args or **kwargs."""

    positional_only: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    keyword_only: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()
    open: bool = False

    def bound(self) -> Signature:
        """That of a method taken from an instance: without the first parameter."""
        if self.positional_only:
            return _without(self, self.positional_only[0], positional_only=self.positional_only[1:])
        if self.positional:
            return _without(self, self.positional[0], positional=self.positional[1:])
        return Signature(open=True)


def signature_of(args: ast.arguments) -> Signature:
    first, then = [arg.arg for arg in args.posonlyargs], [arg.arg for arg in args.args]
    ordered = [*first, *then]
    required = ordered[: len(ordered) - len(args.defaults)]
    needed = [arg.arg for arg, value in zip(args.kwonlyargs, args.kw_defaults, strict=True) if value is None]
    return Signature(
        positional_only=tuple(first),
        positional=tuple(then),
        keyword_only=tuple(arg.arg for arg in args.kwonlyargs),
        required=frozenset([*required, *needed]),
        open=args.vararg is not None or args.kwarg is not None,
    )


def mismatch(signature: Signature, positional: int, keywords: Sequence[str]) -> str:
    """Why a call with so many positional arguments and these keywords must fail, or "" when it may not."""
    if signature.open:
        return ""
    places = [*signature.positional_only, *signature.positional]
    if positional > len(places):
        return f"it takes {_count(len(places), 'positional argument')}, and {positional} are given"
    given = set(places[:positional])
    by_name = {*signature.positional, *signature.keyword_only}
    for keyword in keywords:
        if keyword not in by_name:
            return f"it has no parameter {keyword}"
        if keyword in given:
            return f"its parameter {keyword} is given twice"
    missing = [name for name in [*places, *signature.keyword_only] if name in signature.required - given - {*keywords}]
    return f"it needs {', '.join(missing)}" if missing else ""


def _without(
    signature: Signature,
    name: str,
    positional_only: tuple[str, ...] | None = None,
    positional: tuple[str, ...] | None = None,
) -> Signature:
    return Signature(
        positional_only=signature.positional_only if positional_only is None else positional_only,
        positional=signature.positional if positional is None else positional,
        keyword_only=signature.keyword_only,
        required=signature.required - {name},
        open=signature.open,
    )


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'s' if number != 1 else ''}"
