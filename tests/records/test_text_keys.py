"""Keys of normalised texts, their laws and their stability; keys of uids."""

import unicodedata

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from src.records.text_keys import fold_texts, text_digests, text_keys, uid_keys


def same(*texts: str) -> bool:
    return text_keys(pl.Series(texts)).n_unique() == 1


@given(st.lists(st.text(st.characters(max_codepoint=127)), min_size=1))
def test_both_ways_give_ascii_the_same_key(texts: list[str]) -> None:
    series = pl.Series(texts)
    assert text_digests(fold_texts(series)).tolist() == text_keys(series).to_list()


@given(st.text(), st.text())
def test_texts_are_the_same_if_their_small_letters_and_digits_are(one: str, two: str) -> None:
    assert same(one, two) == (letters(one) == letters(two))


def letters(text: str) -> str:
    small = unicodedata.normalize("NFKC", text).lower()
    words = "".join(sign for sign in small if unicodedata.category(sign)[0] in "LMN")
    return words or ("".join(sign for sign in small if ord(sign) > 127) or small)


def test_case_signs_spaces_and_compatible_forms_make_no_difference() -> None:
    assert same("The end.The next", "the END. The next!", "“the end”\tthe next")
    assert same("Café ﬁne Ⅳ", unicodedata.normalize("NFD", "CAFÉ fine IV"))


def test_letters_digits_and_signs_on_their_own_make_one() -> None:
    assert not same("café", "cafe")
    assert not same("owls 1", "owls 2")
    assert not same("???", "!!!")
    assert not same("★★", "☆☆")


def test_keys_are_the_same_everywhere() -> None:
    assert text_keys(pl.Series(["An Owl!", "Né"])).to_list() == [10247815032992340954, 7947388042202808800]


def test_no_texts_have_no_keys() -> None:
    assert text_keys(pl.Series([], dtype=pl.String)).equals(pl.Series([], dtype=pl.UInt64()))


def test_keys_of_uids_are_the_same_everywhere() -> None:
    keys = uid_keys(pl.Series("uid", ["0001360000", "é"]))
    assert (keys.name, keys.dtype) == ("uid_key", pl.UInt64)
    assert keys.to_list() == [6485041666225430406, 17839895020865391795]
