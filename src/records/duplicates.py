"""Exact duplicates: what counts as the same text, and which record of the same was seen before.

Covers equality of normalised texts. Near duplicates are not covered.
"""

from hashlib import blake2b

import polars as pl


def normalised(texts: pl.Series) -> pl.Series:
    """Texts in small letters, their words alone, one space between them; a text without words stands for itself."""
    small = texts.str.normalize("NFKC").str.to_lowercase()
    words = small.str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()
    return words.zip_with(words != "", small)


def digests(texts: pl.Series) -> pl.Series:
    """A digest of each text, 32 hexadecimal digits, the same on every machine and in every run."""
    digested = [blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
    return pl.Series(texts.name, digested, dtype=pl.String)


class Seen:
    """The records seen so far, by normalised title and content; 16 bytes are kept of each."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def first(self, titles: pl.Series, contents: pl.Series) -> pl.Series:
        """Whether each record is the first of its kind, here and in all calls before, by its normalised texts."""
        pairs = (f"{title}\n{content}" for title, content in zip(titles, contents, strict=True))
        return pl.Series([self._is_new(pair) for pair in pairs], dtype=pl.Boolean)

    def _is_new(self, text: str) -> bool:
        digest = blake2b(text.encode(), digest_size=16).digest()
        new = digest not in self._digests
        self._digests.add(digest)
        return new
