"""What of a title counts when it is searched for: its letters and digits in small form, and their trigrams.

Covers both for the titles of the index and for queries, so that they agree. Does not compare titles.
"""

import re
from collections.abc import Sequence
from unicodedata import combining, normalize

import numpy as np

SIGNS = re.compile(r"[\W_]+")
CODE_BITS = 21  # of a character: three fit into 63 bits
SPACE = ord(" ")


def fold_title(title: str) -> str:
    """A title's words in small letters without accents, a space between them; its signs where it has nothing else."""
    small = title.casefold()
    if not small.isascii():
        letters = (letter for letter in normalize("NFKD", small) if not combining(letter))
        small = "".join(letters).casefold()  # again: compatible forms may be capitals
    return SIGNS.sub(" ", small).strip() or " ".join(small.split())


def title_trigrams(folded: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The trigrams of each word with a space before and behind it, so that the order of words makes no difference.

    Args:
        folded: titles from `fold_title`.

    Returns:
        The trigrams as numbers of 63 bits, int64, and for each the position of its title in `folded`.
    """
    text = f" {' '.join(folded)} "
    letters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    owners = np.repeat(np.arange(len(folded)), [len(title) + 1 for title in folded])
    left, middle, right = letters[:-2], letters[1:-1], letters[2:]
    within_word = middle != SPACE
    trigrams = left << 2 * CODE_BITS | middle << CODE_BITS | right
    return trigrams[within_word], owners[1:][within_word]
