"""Facts without a truth: the numbers and the names that stand in a title, for real products.

A number is one in digits, with its range, fraction or decimals (7.5, 2-4, 1/2) but not its unit. A name is a code of
capitals and digits (QX31-B) or a capitalised word that the training descriptions, within a sentence, hardly ever write
small: Hobnobbin is a name, Lamp is not. A number or name of an answer is wrong where neither title nor reference
has it.

What this does not see: other facts, such as a colour or a material; numbers in words; another wording of the same, as
"2 to 4" for 2-4; a number that is right for another thing. A true statement that neither title nor reference makes
counts as wrong. Rare words of a title that the training descriptions do not have count as names, the more of them the
fewer descriptions there are. Languages that capitalise every noun, as German does, are not covered.
"""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from src.scoring.fact_counts import CountsByAttribute, FactCounts, FoundFacts

NAME_SHARE = 0.9  # of a word's occurrences that have a capital: below 1, since some writers capitalise nothing
SHORTEST_NAME = 2  # letters: a single capital is an article, a size or an initial

TOKEN = re.compile(
    r"""
    (?<=\d)[xX×](?=\.?\d)                                      # between the sides of 17x23, which are two numbers
  | (?P<code>(?<!\w)(?!\d+X\d)(?=[\dA-Z-]*[A-Z])(?=[A-Z-]*\d)  # has a capital and a digit
        [\dA-Z]+(?:-[\dA-Z]+)*(?!-?\w))
  | (?P<number>(?:\d+(?:,\d{3}(?!\d)|[./–-]\d+)*|(?<!\w)\.\d+)[¼-¾⅐-⅞]?|[¼-¾⅐-⅞])
  | (?P<word>[^\W\d_]\w*(?:['’][^\W\d_]+)*)
    """,
    re.VERBOSE,
)
POSSESSIVE = re.compile(r"['’][sS]?$")

# Of the training descriptions, in Rust's syntax. Within a sentence, as far as its surroundings show: after a small
# letter or a comma, and a space, so that headlines and whatever may begin a sentence do not count; and the capitalised
# words that follow, as in "made by Orla Thistlewick".
BEFORE = r"^[\p{Ll},] "
CAPITALISED = BEFORE.removeprefix("^") + r"\p{Lu}[\w'’]*(?: \p{Lu}[\w'’]*)*"
SMALL = (
    r"\b\p{Ll}[\w'’]*(?:[.@]\w+)*"  # a web address is a word of its own: hobnobbin.com does not write Hobnobbin small
)
BATCH = 10_000  # descriptions whose words are in memory at once


class Token(NamedTuple):
    """A code, a number or a word of a text."""

    kind: str
    key: str  # what is compared, see `number_key` and `word_key`
    capitalised: bool
    within_sentence: bool


def read_tokens(text: str) -> list[Token]:
    """The codes, numbers and words of a text, in order."""
    return [
        Token(
            kind,
            number_key(found[0]) if kind == "number" else word_key(found[0]),
            capitalised=found[0][0].isupper(),
            within_sentence=is_within_sentence(text, found.start()),
        )
        for found in TOKEN.finditer(text)
        if (kind := found.lastgroup)
    ]


def is_within_sentence(text: str, start: int) -> bool:
    """Whether a word follows a small letter or a comma, and a space.

    Args:
        text: what it stands in.
        start: where it begins.
    """
    return start >= 2 and text[start - 1] == " " and (text[start - 2].islower() or text[start - 2] == ",")


def number_key(number: str) -> str:
    """A number with a digit at its start, a plain hyphen, and no signs that group thousands."""
    plain = number.replace(",", "").replace("–", "-")
    return f"0{plain}" if plain.startswith(".") else plain


@functools.lru_cache(maxsize=100_000)  # texts have few words, again and again
def word_key(word: str) -> str:
    """A word in small letters, with plain quotes and without a possessive ending."""
    return POSSESSIVE.sub("", word).casefold().replace("’", "'")


class CapitalUse:
    """How often the training descriptions write each word with a capital within a sentence, and how often small."""

    def __init__(self, contents: Sequence[str]) -> None:
        """Counts the words of training descriptions."""
        starts = range(0, len(contents), BATCH)
        batches = [pl.Series(contents[start : start + BATCH], dtype=pl.String) for start in starts]
        self.capitalised, self.small = (count_words(batches, pattern) for pattern in (CAPITALISED, SMALL))

    def is_name(self, key: str, unseen: bool) -> bool:
        """Whether a word is hardly ever written small.

        Args:
            key: the word's, see `word_key`.
            unseen: what to answer for a word that the descriptions do not have within a sentence.
        """
        capitalised, all_uses = self.capitalised[key], self.capitalised[key] + self.small[key]
        return capitalised >= NAME_SHARE * all_uses if all_uses else unseen


def count_words(batches: Iterable[pl.Series], pattern: str) -> Counter[str]:
    """How often each word occurs where a pattern finds it, by the word's key.

    Args:
        batches: of texts.
        pattern: of words with spaces between them.
    """
    counted = Counter[str]()
    for texts in batches:
        found = texts.str.extract_all(pattern).explode().str.replace(BEFORE, "")
        words = found.str.split(" ").explode().value_counts(name="count")
        for word, count in words.drop_nulls().iter_rows():
            counted[word_key(word)] += count
    return counted


def find_numbers(tokens: Iterable[Token]) -> set[str]:
    """The numbers among tokens."""
    return {token.key for token in tokens if token.kind == "number"}


def find_words(tokens: Iterable[Token]) -> set[str]:
    """The words and codes among tokens."""
    return {token.key for token in tokens if token.kind != "number"}


def title_names(title: str, uses: CapitalUse) -> set[str]:
    """The names of a title, in which any word may have a capital.

    A word that the training descriptions do not have is one, unless the title is all in capitals: they tell nothing.

    Args:
        title: a record's.
        uses: of capitals in the training descriptions.
    """
    unseen = title != title.upper()
    return {token.key for token in read_tokens(title) if is_name(token, uses, unseen)}


def answer_names(tokens: Iterable[Token], uses: CapitalUse) -> set[str]:
    """The names of an answer, where a word that the training descriptions do not have is one within a sentence alone.

    Args:
        tokens: of the answer.
        uses: of capitals in the training descriptions.
    """
    return {token.key for token in tokens if is_name(token, uses, token.within_sentence)}


def is_name(token: Token, uses: CapitalUse, unseen: bool) -> bool:
    """Whether a token is a code, or a word with a capital that is hardly ever written small.

    Args:
        token: of a text.
        uses: of capitals in the training descriptions.
        unseen: what to answer for a word that they do not have.
    """
    if token.kind != "word" or not token.capitalised:
        return token.kind == "code"
    return len(token.key) >= SHORTEST_NAME and uses.is_name(token.key, unseen)


class TitleFacts:
    """The facts of a record of which title and reference are known and nothing else.

    Attributes:
        numbers, names: those of the title.
        allowed: all numbers, words and codes of title and reference.
    """

    def __init__(self, title: str, reference: str, uses: CapitalUse) -> None:
        """Reads title and reference.

        Args:
            title: the record's.
            reference: its own description.
            uses: of capitals in the training descriptions.
        """
        self.uses = uses
        self.numbers, self.names = find_numbers(read_tokens(title)), title_names(title, uses)
        self.allowed = {token.key for text in (title, reference) for token in read_tokens(text)}

    def count(self, answer: str) -> CountsByAttribute:
        """Counts an answer's numbers and names; a name of the title is stated in small letters too."""
        numbers, names = self.find_both(answer)
        return {
            "number": FactCounts(len(self.numbers), len(numbers.stated), len(numbers.wrong)),
            "name": FactCounts(len(self.names), len(names.stated), len(names.wrong)),
        }

    def find(self, answer: str) -> FoundFacts:
        """Finds an answer's numbers and names."""
        numbers, names = self.find_both(answer)
        return FoundFacts(numbers.stated | names.stated, numbers.wrong | names.wrong)

    def find_both(self, answer: str) -> tuple[FoundFacts, FoundFacts]:
        """Finds an answer's numbers, and its names."""
        tokens = read_tokens(answer)
        numbers, names, words = find_numbers(tokens), answer_names(tokens, self.uses), find_words(tokens)
        return (
            FoundFacts(frozenset(self.numbers & numbers), frozenset(numbers - self.allowed)),
            FoundFacts(frozenset(self.names & words), frozenset(names - self.allowed)),
        )
