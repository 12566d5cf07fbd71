"""Recognize text that is typed for a legacy Nepali font, such as Preeti or Kantipur.

Such fonts draw Devanagari for Latin letters and signs: "g]kfn ;/sf/" looks like नेपाल सरकार. Spoken, it is noise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from iris.errors import InvalidInput

# ruff: noqa: SIM905 - a list of words reads best as a line of words.

# को, लाई, बाट and other frequent words as they are typed for Preeti. None is a word of another script.
_WORDS = frozenset(
    """sf] sf]] nfO{ af6 ;Dd b]lv xf] xf]nf x'g] x'g]5 x'G5 5g\\ eof] ePsf] u/L u/]sf] ul/Psf] /x]sf] g]kfn ;/sf/ sfof{no
    ;"rgf jif{ tkfO{ tkfO{sf] tkfO{Fsf] tkfOF{sf] >L /fd|f] ;+:yf ug'{xf];\\ ug{'xf];\\ lbg'xf];\\ afFsL ?= g+= k|fKt ;xsf/L
    cg';f/ cGtu{t ljBfno gu/kflnsf ufpFkflnsf dxfgu/kflnsf""".split()
)
# A sign that touches a letter, as vowel signs and half consonants do in these fonts.
_SIGN_IN_WORD = re.compile(r"[A-Za-z][]\[{}|;/\\=+~^\"']|[]\[{}|;/\\>+~^\"'][A-Za-z]|[A-Za-z][÷×§¶ª«°±¿Þ]")
_ADDRESS = re.compile(r"https?://|www\.|@[\w-]+\.|^[\w-]+(?:\.[\w-]+)+(?:/|$)")
_SHIFTED_DIGITS = re.compile(r"[!@#$%^&*()÷.,]{5,}")
_ALTERNATIVES = re.compile(r"[(]?[A-Za-z]+/[A-Za-z]+[.,;:)]?")
# A placeholder with blanks, such as {full name}, has brackets in two words. In these fonts, { follows a letter.
_TAG = re.compile(r"(?<![A-Za-z])\{[\w .-]{1,60}\}(?![A-Za-z+])")
_LATIN = re.compile(r"[A-Za-z]")
_DEVANAGARI = re.compile(r"[\u0900-\u097f]")
_MIN_SHARE_OF_WORDS = 0.3  # words with a sign in them
_MIN_SHARE_OF_F = 0.07  # of the letters; f draws the frequent vowel sign ा, and is 2 % of English


LEGACY_FONT = (
    "The message is typed for a legacy font such as Preeti or Kantipur, so it cannot be spoken, and phones show it as Latin"
    " letters. Convert it to Unicode."
)


def refuse_legacy(text: str) -> None:
    """Raise InvalidInput if the text is typed for a legacy Nepali font."""
    if is_legacy(text):
        raise InvalidInput(LEGACY_FONT, code="legacy_font")


@contextmanager
def legacy_first(text: str) -> Iterator[None]:
    """Replace an error about braces or tags by the error of `refuse_legacy`: in these fonts, braces are letters."""
    try:
        yield
    except InvalidInput:
        refuse_legacy(text)
        raise


def is_legacy(text: str) -> bool:
    """Return whether the text is typed for a legacy Nepali font."""
    text = _TAG.sub(" ", text)
    letters = _LATIN.findall(text)
    if len(letters) < 4 or len(letters) <= len(_DEVANAGARI.findall(text)):
        return False
    words = [word for word in text.split() if not (_ADDRESS.search(word) or _ALTERNATIVES.fullmatch(word))]
    known = sum(word.strip(".,") in _WORDS for word in words)
    if known >= 2 or (known and known >= len(words) / 2):
        return True
    unbalanced = sum(_has_unbalanced_bracket(word) for word in words)
    if unbalanced >= 2:
        return True
    marked = sum(bool(_SIGN_IN_WORD.search(word) or _SHIFTED_DIGITS.fullmatch(word)) for word in words)
    share_of_f = sum(letter == "f" for letter in letters) / len(letters)
    return marked >= 2 and marked >= _MIN_SHARE_OF_WORDS * len(words) and share_of_f >= _MIN_SHARE_OF_F


def _has_unbalanced_bracket(word: str) -> bool:
    """Return whether a word closes a bracket that it does not open, between or after letters: ut], a}7s."""
    return any(
        closing in word[1:] and opening not in word and word[0].isalpha() for opening, closing in ("[]", "{}")
    )
