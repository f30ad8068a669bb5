"""Facts by the truth: what the generator of the sample knows of each of its products.

Covers finding the catalogue's values in a text: whole words, in any case, the longest first. A value that stands inside
a longer one does not count, so that a table lamp is no lamp and a set of 24 no set of 2. Another wording of a value,
such as a plural or a number in words, is not found.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypedDict
from unicodedata import normalize

from src.scoring.fact_counts import CountsByAttribute, FactCounts, FoundFacts

# Signs that a catalogue's titles and texts set in several ways.
PLAIN_SIGNS = str.maketrans("’‘‐‑–", "''---")
# A word as a whole, and not the end of a number: in 2-4 and 7.5 the 4 and the 5 are no numbers.
WORD = re.compile(r"(?<!\w)(?<!\d[.,/-])\w+")
WORD_END = re.compile(r"(?!\w)(?![.,/-]\d)")


class ProductTruth(TypedDict):
    """What is known of one product.

    `stated`: by attribute the values that its title states. `implied`: other values of the same attributes that a true
    description may hold as well, such as the town where the author lives.
    """

    stated: dict[str, list[str]]
    implied: dict[str, list[str]]


class Truth(TypedDict):
    """The content of data/sample/facts.json.gz.

    `values`: all values of each attribute in the catalogue. `records`: by uid what is known of a product.
    """

    values: dict[str, list[str]]
    records: dict[str, ProductTruth]


def plain_text(text: str) -> str:
    """A text in small letters, with plain quotes, hyphens and spaces."""
    return " ".join(normalize("NFC", text).casefold().translate(PLAIN_SIGNS).split())


class Vocabulary:
    """All values of a catalogue, as `plain_text` writes them, and the attributes that can take each."""

    def __init__(self, values: Mapping[str, Iterable[str]]) -> None:
        """Prepares the search for the values of each attribute."""
        self.attributes: dict[str, list[str]] = {}
        for attribute, own in values.items():
            for value in dict.fromkeys(map(plain_text, own)):
                self.attributes.setdefault(value, []).append(attribute)
        # By the first word, the longest first: a text's words are looked up, instead of all values in a text.
        self.by_first_word: dict[str, list[str]] = {}
        for value in sorted(self.attributes, key=len, reverse=True):
            if first := WORD.search(value):
                self.by_first_word.setdefault(first[0], []).append(value)

    def find(self, text: str) -> set[str]:
        """The values that a text states, none of them because it stands inside a longer one."""
        text, found, end = plain_text(text), set(), 0
        for word in WORD.finditer(text):
            value = self.longest_value(text, word)
            if value and word.start() + len(value) > end:
                found.add(value)
                end = word.start() + len(value)
        return found

    def longest_value(self, text: str, word: re.Match[str]) -> str | None:
        """The longest value that begins with a word of a text.

        Args:
            text: as `plain_text` writes it.
            word: where the value begins.
        """
        for value in self.by_first_word.get(word[0], ()):
            if text.startswith(value, word.start()) and WORD_END.match(text, word.start() + len(value)):
                return value
        return None


@dataclass(frozen=True, eq=False)
class KnownFacts:
    """The facts of one product whose truth is known.

    Attributes:
        stated: by attribute the values that the title states, as `plain_text` writes them.
        allowed: the values that are right in a description: the title's own, and what they imply.
        vocabulary: the catalogue's.
    """

    stated: Mapping[str, set[str]]
    allowed: set[str]
    vocabulary: Vocabulary

    def count(self, answer: str) -> CountsByAttribute:
        """Counts an answer's facts; each wrong value once, for the first of the title's attributes that can take it."""
        found = self.find(answer)
        wrong = [self.attribute_of(value) for value in found.wrong]
        return {
            attribute: FactCounts(len(values), len(values & found.stated), wrong.count(attribute))
            for attribute, values in self.stated.items()
        }

    def find(self, answer: str) -> FoundFacts:
        """Finds an answer's facts; a value that no attribute of the title can take is not wrong."""
        found = self.vocabulary.find(answer)
        wrong = {value for value in found - self.allowed if self.attribute_of(value)}
        return FoundFacts(frozenset(found.intersection(chain(*self.stated.values()))), frozenset(wrong))

    def attribute_of(self, value: str) -> str | None:
        """The first attribute of the title that can take a value; None where the title states no such attribute."""
        possible = self.vocabulary.attributes[value]
        return next((attribute for attribute in self.stated if attribute in possible), None)


def known_facts(title: str, known: ProductTruth, vocabulary: Vocabulary) -> KnownFacts | None:
    """The facts of a record whose uid the truth has.

    Args:
        title: the record's.
        known: the truth.
        vocabulary: the catalogue's.

    Returns:
        None where the title states none of them: then it is of another product. The invented books have numbers that
        real ones may have too.
    """
    stated, implied = (
        {attribute: set(map(plain_text, values)) for attribute, values in part.items()}
        for part in (known["stated"], known["implied"])
    )
    own = set().union(*stated.values())
    if vocabulary.find(title).isdisjoint(own):
        return None
    return KnownFacts(stated, own.union(*implied.values()), vocabulary)


def facts_by_truth(uids: Sequence[str], titles: Sequence[str], truth: Truth) -> list[KnownFacts | None]:
    """The facts of each record, None where the truth is not known.

    Args:
        uids: the records'.
        titles: as many.
        truth: of the sample's products.
    """
    vocabulary, products = Vocabulary(truth["values"]), truth["records"]
    pairs = zip(uids, titles, strict=True)
    return [known_facts(title, products[uid], vocabulary) if uid in products else None for uid, title in pairs]
