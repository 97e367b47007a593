"""Texts as the usual collations compare them: docs/values.md says how, and the Rust crates do the same."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from . import unicode14

_ENDS = " \t\n\v\f\r"
_WHITE_SPACE = _ENDS + "\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_IGNORED = frozenset(map(chr, (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF)))
# Letters that are set above others are letters to a collation.
_LETTERS_ABOVE = frozenset(map(chr, (*range(0x363, 0x370), 0x1DCA, *range(0x1DD3, 0x1DF5))))
_TAILORED = re.compile("[aouAOU][\u0308\u030a\u030b]")
_ONE_LETTER = {0x3C2: "\u03c3", 0x131: "i"}  # the sigma at the end of a word, the i without a dot
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?", re.ASCII)
_MAX_EXPONENT = 40  # the zeros would have to be written

TRUTHS = {
    **dict.fromkeys(("t", "tr", "tru", "true", "y", "ye", "yes", "on"), b"1"),
    **dict.fromkeys(("f", "fa", "fal", "fals", "false", "n", "no", "of", "off"), b"0"),
}


def fold(text: str) -> str:
    """Without blanks around it, in lower case and without accents, compatibility forms and invisible characters."""
    text = text.strip(_ENDS)
    if text.isascii():
        return _CONTROLS.sub("", text).strip(_ENDS).lower()
    text = unicodedata.normalize("NFKD", text)
    # One by one: the end of a word has no sigma of its own.
    text = unicodedata.normalize("NFKD", "".join(map(str.lower, text)))
    return "".join(filter(_counts, text)).translate(_ONE_LETTER).strip(_WHITE_SPACE)


def is_assigned(text: str) -> bool:
    """Are these characters that every program knows? A newer one may be a capital letter, which others do not know."""
    return text.isascii() or all(map(_is_assigned, text))


def is_tailored(text: str) -> bool:
    """Has it one of `äöüőűå`, which some collations do not take for the letters below the marks?"""
    return not text.isascii() and _TAILORED.search(unicodedata.normalize("NFKD", text)) is not None


def uuid(text: str) -> bytes | None:
    """The 32 digits of a UUID, however hyphens and braces are set."""
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    if not 32 <= len(text) <= 40:
        return None
    digits = text.replace("-", "")
    return digits.encode() if re.fullmatch("[0-9a-f]{32}", digits) else None


def number(text: str) -> tuple[bytes | None, bool]:
    """Its digits, without an exponent and without zeros that change nothing; and whether it is a number at all."""
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None, False
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", int((match[4] or "0")[:12])
    digits = whole + fraction
    significant = digits.lstrip("0")
    if not significant:
        return b"0", True
    if abs(exponent) > _MAX_EXPONENT:
        return None, True
    point = len(whole) + exponent - (len(digits) - len(significant))  # digits before the point
    significant = significant.rstrip("0")
    if point <= 0:
        form = "0." + "0" * -point + significant
    elif point >= len(significant):
        form = significant + "0" * (point - len(significant))
    else:
        form = f"{significant[:point]}.{significant[point:]}"
    return (("-" if sign == "-" else "") + form).encode(), True


@lru_cache(maxsize=4096)
def _is_assigned(c: str) -> bool:
    # The interpreter's own tables may be older, and then it cannot fold what is new in 14.0.
    return unicode14.is_assigned(c) and unicodedata.category(c) != "Cn"


@lru_cache(maxsize=4096)
def _counts(c: str) -> bool:
    if "\t" <= c <= "\r":
        return True
    category = unicodedata.category(c)
    if category[0] == "M":
        return c in _LETTERS_ABOVE
    return category != "Cc" and c not in _IGNORED
