"""Keys of records: numbers that are equal where texts count as the same, and numbers that order records for drawing.

Covers the normalisation of texts and the hashes. What follows from equal keys is in deduplication.py and split.py.
"""

import string
from unicodedata import normalize

import numpy as np
import polars as pl
from xxhash import xxh3_64_intdigest

LOWER_CASE = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
ASCII_PUNCTUATION = bytes(sorted(set(range(128)) - set((string.ascii_letters + string.digits).encode())))
OTHER_PUNCTUATION = r"[^\x00-\x7f\p{L}\p{M}\p{N}]+"
LETTER_OR_DIGIT = r"[\p{L}\p{M}\p{N}]"


def text_keys(texts: pl.Series) -> pl.Series:
    """A number of 64 bits for each text, the same for equal letters and digits, on every machine and in every version.

    Upper and lower case, compatible forms (NFKC), white space and signs make no difference; so sentences glued together
    equal those that are not. Of a text without letters and digits all signs count.
    """
    foreign = texts.str.len_bytes() != texts.str.len_chars()
    folded = fold_texts(texts.filter(foreign))
    return pl.Series(text_digests(texts.clone().scatter(foreign.arg_true(), folded)))


def uid_keys(uids: pl.Series) -> pl.Series:
    """A number of 64 bits for each uid: an order that is random, and the same on every machine and in every version."""
    digests = map(xxh3_64_intdigest, uids.cast(pl.Binary).to_list())
    return pl.Series("uid_key", np.fromiter(digests, np.uint64, len(uids)))


def text_digests(texts: pl.Series) -> np.ndarray:
    """XXH3 of the small letters and digits of each text, its ASCII signs left out; of the whole where nothing is left.

    Bytes, since deleting from a str takes ten times as long.
    """
    found = (
        xxh3_64_intdigest(text.translate(LOWER_CASE, ASCII_PUNCTUATION) or text)
        for text in texts.cast(pl.Binary).to_list()
    )
    return np.fromiter(found, np.uint64, len(texts))


def fold_texts(texts: pl.Series) -> pl.Series:
    """Texts in small letters and compatible forms, without signs beyond ASCII, unless they hold nothing else."""
    small = small_forms(texts)
    return small.str.replace_all(OTHER_PUNCTUATION, "").zip_with(small.str.contains(LETTER_OR_DIGIT), small)


def small_forms(texts: pl.Series) -> pl.Series:
    """The texts in small letters and compatible forms (NFKC)."""
    return pl.Series([normalize("NFKC", text).lower() for text in texts], dtype=pl.String)
