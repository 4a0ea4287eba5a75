"""The names that a piece of code uses, by one scan, in each language's strings, comments and numbers."""

from __future__ import annotations

import pytest

from intarsia.code.names.mentions import Text

PIECES = {
    "python": (
        b"""x.y = f"{a!r} {{b}}" + fr'{c}' + F"{d}" + "e" + 'it\\'s' + 1e5 + 0x1F + n1 # g\n'''h''' if i else self\n""",
        "x .y a r b c d n1 i",
    ),
    "javascript": (b"a.b(`${c} d`, \"e\", 'f') /* g */ ? $h : i1 // j\n1 + 2.5", "a .b c $h i1"),
    "go": (b"a.B(`c`, 'd', \"e\") // f\ng := 0x1F", "a .B g"),
    "rust": (b"a::b(&'c str, 'd', r#\"e\"#).f.0 -> g /* h */", "a b .b c str .f g"),
    "java": (b'a.b("""\nc\n""", \'d\', "e"); // f', "a .b"),
    "c": (b"a->b = c.d + 'e' + 0x1FUL; /* f\n */ if (g > h) i::j", "a b .b c .d g h i j .j"),
    "c_sharp": (b'a.b($"{c} d", @"e""f", "g", \'h\') // i', "a .b c"),
    "ruby": (b"a.b?(:c) && !d != e! ? \"#{f} g\" : 'h' # i\n@j", "a .b? c .c d e! f j"),
    "php": (b"$a->b(C::d, \"{$e} f\", 'g') // h\n#[I]\n# j", "b .b C d .d $e I"),
}


@pytest.mark.parametrize("language", PIECES)
def test_names_stand_outside_of_strings_comments_and_numbers(language: str) -> None:
    text, names = PIECES[language]
    assert Text(text, language).mentions(0, len(text)) == set(names.encode().split())


def test_only_the_piece_counts() -> None:
    assert Text(b"a.b + c", "python").mentions(1, 3) == {b".b"}


@pytest.mark.parametrize("language", PIECES)
def test_what_is_not_ended_takes_no_time(language: str) -> None:
    for text in (b'"' * 50_001, b"'" * 50_001, b"f'" * 20_000, b"a" * 200_000, b"9" * 100_000, b"`${" * 20_000):
        Text(text, language).mentions(0, len(text))
