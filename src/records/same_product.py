"""What tells of near duplicates whether they are the same product: their titles and the numbers in their texts.

Sellers describe a whole series by one text: tubing of 3/4" and of 1/2", cartridges of four colours, packs of 5 and of
10. So near contents alone say little. Two records are taken for one product only if their titles are the same, but for
a note on how it is sold, and their contents have the same numbers. Does not cover how near the contents are.
"""

import polars as pl
from xxhash import xxh3_64_intdigest

from src.records.text_keys import small_forms, text_keys

# What a seller writes behind a title without naming another product. A colour, a size or a count names another one.
SALE_NOTES = (
    r"import(?:ed)?|(?:brand[ -])?new|gift[ -]?box(?:ed)?|(?:newly )?revised(?: edition)?|"
    r"(?:hard|soft|paper)(?:back|cover)|packaging may vary"
)
NOTE_AT_END = rf"(?i)(\S)(?:\s*[(\[]\s*(?:{SALE_NOTES})\s*[)\]]|\s+[-–—]\s+(?:{SALE_NOTES}))+\s*$"
# A word with a digit, whole: 3/4, 1.75, 240xl, o1. Signs matter here: 1/2 is not 12.
NUMBER = r"[\p{L}\p{N}]*\p{N}[\p{L}\p{N}]*(?:[.,/⁄]\p{N}+)*"
PRODUCT_KEYS = {"form_key": pl.UInt64(), "numbers_key": pl.UInt64()}


def product_keys(records: pl.DataFrame) -> pl.DataFrame:
    """Two numbers for each record: `form_key`, equal where titles name one product, and `numbers_key`, of the content.

    Args:
        records: clean titles and contents.
    """
    titles = records["title"].str.replace(NOTE_AT_END, "$1")
    letters, numbers = text_keys(titles).to_list(), join_words(find_numbers(titles))
    forms = [f"{key} {found}" for key, found in zip(letters, numbers, strict=True)]
    in_content = join_words(find_numbers(records["content"]).list.unique().list.sort())
    digests = ([xxh3_64_intdigest(text.encode()) for text in texts] for texts in (forms, in_content))
    return pl.DataFrame(dict(zip(PRODUCT_KEYS, digests, strict=True)), schema=PRODUCT_KEYS)


def join_words(words: pl.Series) -> list[str]:
    """The words of each list, with spaces between them."""
    return words.list.join(" ").to_list()


def find_numbers(texts: pl.Series) -> pl.Series:
    """The words with a digit of each text, in its order, in small letters and compatible forms (NFKC)."""
    return small_forms(texts).str.extract_all(NUMBER)
