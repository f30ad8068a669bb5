"""ASCII forms of characters, for the option `clean.ascii`.

Covers punctuation, currencies, fractions, Latin letters and what Unicode's compatibility decomposition yields. Not
other scripts: they have no ASCII form here, and `clean` counts the records that lose such characters.
"""

import unicodedata

import polars as pl

FORMS = {
    **dict.fromkeys("‐‑‒–−", "-"),
    **dict.fromkeys("—―", "--"),
    **dict.fromkeys("‘’‚‛′‹›", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("•·‣▪●", "-"),
    **{"€": "EUR", "£": "GBP", "¥": "JPY", "¢": "c", "₤": "GBP", "₹": "INR", "₽": "RUB", "₩": "KRW"},
    **{"®": "(R)", "©": "(C)", "™": "(TM)", "℠": "(SM)", "°": " deg ", "№": "No."},
    **{"×": "x", "÷": "/", "±": "+/-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "⁄": "/", "µ": "u", "μ": "u"},
    **{"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D"},
    **{"ł": "l", "Ł": "L", "þ": "th", "Þ": "Th", "ð": "d", "Ð": "D", "ı": "i", "¡": "!", "¿": "?", "§": "Sec. "},
    # A fraction needs a space before it: 3½ is 3 1/2, not 31/2.
    **{fraction: " " + unicodedata.normalize("NFKC", fraction).replace("⁄", "/") for fraction in "¼½¾⅓⅔⅛⅜⅝⅞"},
}


def to_ascii(texts: pl.Series) -> pl.Series:
    """The texts with every character in its ASCII form; those without one are left as they are."""
    decomposed = texts.str.replace_many(FORMS).str.normalize("NFKD").str.replace_many(FORMS)
    return decomposed.str.replace_all(r"\p{Mn}", "")
