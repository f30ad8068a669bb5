"""Which title a text names: how much of the text a title has, in spite of typos, and how much of the title the text has.

Covers words and their comparison. Does not search: search.py finds the titles that are compared.
"""

from typing import NamedTuple

from src.serving.trigrams import fold_title

# What questions are made of beside their subject, and what titles share whatever they name.
COMMON = frozenset(
    """a about am an and any are as at be been but by can could describe did do does explain find for from get give had
    has have how i if in into is it its know let like me more most my of on or please s say shall should show tell than
    that the their them there these they this those to us want was we were what when where which who whom whose why
    will with would you your""".split()
)
ASKING = frozenset(
    """are can could describe did do does explain find give has have how is please show tell was were what when where
    which who whom whose why will would""".split()
)
SHORT = 4  # letters, below which a word is another one with any other letter
ALIKE = 75.0  # similarity, 0 to 100, of two longer words that are one with a typo
NUMBER_WEIGHT = 6  # letters
# Chosen on the embedded sample (docs/serving.md): of titles with two typos 2% are missed, of titles that differ in a
# word from every record 5% are taken for one.
ASKED_ENOUGH, COVERED_ENOUGH = 0.85, 0.4


class Mention(NamedTuple):
    """How a text names a title; both shares are of letters, in words that are not COMMON."""

    subject: str
    """The part of the text that names it, folded."""
    rest: list[str]
    """The words of the text that do not."""
    asked: float
    """The share of the subject that the title has, 0 to 1."""
    covered: float
    """The share of the title that the subject has, 0 to 1."""

    def is_near(self) -> bool:
        """Whether the text names the record of that title."""
        return self.asked >= ASKED_ENOUGH and self.covered >= COVERED_ENOUGH


def is_question(text: str) -> bool:
    """Whether a text asks for something, rather than being a title; a title that ends with a question mark passes."""
    words = fold_title(text).split()
    return text.rstrip().endswith("?") or bool(words) and words[0] in ASKING


class Word(NamedTuple):
    """A word of a text."""

    folded: str
    named: bool
    """Whether it looks like a part of a name, by a capital letter or a digit."""


def split_words(text: str) -> list[Word]:
    """The words of a text; in one of capitals alone they tell no name."""
    shouted = text.isupper()
    return [
        Word(folded, any(sign.isdigit() or sign.isupper() and not shouted for sign in typed))
        for typed in text.split()
        for folded in fold_title(typed).split()
        if any(map(str.isalnum, folded))
    ]


def find_mention(text: str, title: str, whole: bool) -> Mention:
    """How a text names a title.

    Args:
        text: what a person typed.
        title: of a record.
        whole: whether all of the text is to be the title, as where no question is asked.
    """
    words = split_words(text)
    folded, wanted = [word.folded for word in words], content_words(fold_title(title).split())
    begin, end = (0, len(words)) if whole else find_span(words, wanted)
    asked = content_words(folded[begin:end])
    return Mention(
        subject=" ".join(folded[begin:end]),
        rest=[word for word in folded[:begin] + folded[end:] if word not in COMMON],
        asked=letter_share(asked, wanted),
        covered=letter_share(wanted, asked),
    )


def find_span(words: list[Word], wanted: list[str]) -> tuple[int, int]:
    """Where in a question its subject is: from the first to the last word that the title has, or that looks like a name.

    So the subject of "Is the Steel Desk Lamp, 40 cm waterproof?" is more than the "Desk Lamp" that a title has. Words
    just before belong to it as well, in small letters too.

    Args:
        words: of the question.
        wanted: the title's content words.
    """
    common = [word.folded in COMMON for word in words]
    found = [at for at, word in enumerate(words) if not common[at] and has_alike(word.folded, wanted)]
    if not found:
        return 0, 0
    named = [at for at, word in enumerate(words) if at and word.named and not common[at]]  # a sentence's first is not
    begin, end = min(found + named), max(found + named) + 1
    while begin and not common[begin - 1]:
        begin -= 1
    return begin, end


def content_words(words: list[str]) -> list[str]:
    """The words that are not common; all of them where there are no others."""
    return [word for word in words if word not in COMMON] or words


def letter_share(words: list[str], others: list[str]) -> float:
    """The share of some words, by their weights, that others are alike; 0 of no words."""
    found = sum(weight(word) for word in words if has_alike(word, others))
    return found / max(1, sum(map(weight, words)))


def weight(word: str) -> int:
    """How much a word counts: its letters; of a number, which tells products apart, no less than a long word's."""
    return len(word) if word.isalpha() else max(len(word), NUMBER_WEIGHT)


def has_alike(word: str, others: list[str]) -> bool:
    """Whether one of several words is alike."""
    return any(is_alike(word, other) for other in others)


def is_alike(word: str, other: str) -> bool:
    """Whether two words are the same, or one of them with a typo; numbers and short words have to be the same."""
    from rapidfuzz import fuzz

    if word == other:
        return True
    exact = min(len(word), len(other)) < SHORT or not (word.isalpha() and other.isalpha())
    return not exact and fuzz.ratio(word, other, score_cutoff=ALIKE) > 0
