"""An invented catalogue of products, which stands in for real ones where nothing can be downloaded.

Covers the grammar: which attributes a product has, and how its title and content state them. The words are in
vocabulary.yaml. Does not cover the flaws of raw data (flaws.py) nor the file they are written to (raw_file.py).
"""

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple, TypedDict

from ruamel.yaml import YAML

VOCABULARY = Path(__file__).with_name("vocabulary.yaml")
BOOK_SHARE = 0.5  # the other kinds share the rest equally
MAKERS = ("brand", "last", "name", "place")  # the first of them that a title states decides the house style
STYLED_SHARE = 0.85  # of the sentences follow the house style, so that a title predicts the wording of its content
KEPT_SHARE = 0.85  # of the sentences after the first
SHORT_SHARE, LONG_SHARE = 0.02, 0.01  # real contents have outliers in both directions

Attribute = str | dict[str, str]  # a value, or a value with details, such as a brand and its town


class ProductFrame(TypedDict):
    """A title with gaps for attributes, and alternatives for each sentence of the content."""

    title: str
    text: list[list[str]]


class ProductLine(TypedDict):
    """The values that each attribute of a product can take, and the frames that state them."""

    draws: dict[str, list[Attribute]]
    frames: list[ProductFrame]


class Fact(NamedTuple):
    """What a title states: a value, and what it is a value of, such as a colour."""

    name: str
    value: str


@dataclass(frozen=True)
class Outline:
    """What a product is, before it is put into words; `style` is the number of its maker's house style."""

    kind: str
    frame: ProductFrame
    attributes: dict[str, Attribute]
    style: int


@dataclass(frozen=True)
class Product:
    """A product of the catalogue: its texts, and the outline that they put into words, None where there is none.

    The content's first sentence or two state all facts of the title again, up to upper and lower case.
    """

    kind: str
    title: str
    content: str
    outline: Outline | None = None


class FrameFormatter(Formatter):
    """str.format with two more conversions: {name!l} is in lower case, {name!c} has one capital at its start."""

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        """Converts a value, as string.Formatter asks for it.

        Args:
            value: the attribute's value.
            conversion: the letter behind the exclamation mark, if any.

        Returns:
            The converted value.
        """
        cases = {"l": str.lower, "c": str.capitalize}
        return cases[conversion](value) if conversion in cases else super().convert_field(value, conversion)

    def fill(self, frame: str, attributes: dict[str, Attribute]) -> str:
        """Fills the gaps of a frame, and writes "an" for "a" before a vowel.

        Args:
            frame: a title or a sentence with gaps.
            attributes: values by the gaps' names.

        Returns:
            The text.
        """
        return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", self.vformat(frame, (), attributes))

    def gaps(self, frame: str) -> list[str]:
        """The gaps of a frame in their order, such as brand[name], without their conversions."""
        return [field for _, field, _, _ in self.parse(frame) if field]

    def read(self, gap: str, attributes: dict[str, Attribute]) -> str:
        """Reads the value that fills a gap.

        Args:
            gap: such as brand[name].
            attributes: values by the gaps' names.

        Returns:
            The value as it is, without a conversion.
        """
        return str(self.get_field(gap, (), attributes)[0])


FORMATTER = FrameFormatter()


def generate_products(seed: int, count: int) -> Iterator[Product]:
    """Draws products, about BOOK_SHARE of them books.

    Args:
        seed: the same seed gives the same products in the same order.
        count: how many.

    Yields:
        One product after the other.
    """
    rng = random.Random(seed)
    for _ in range(count):
        yield write_product(rng, draw_outline(rng))


def draw_outline(rng: random.Random) -> Outline:
    """Draws what one product of a random kind is."""
    kind = draw_kind(rng)
    line = rng.choice(load_kinds()[kind])
    attributes = {name: rng.choice(values) for name, values in line["draws"].items()}
    frame = rng.choice(line["frames"])
    maker = next(name for name in MAKERS if f"{{{name}" in frame["title"])
    return Outline(kind, frame, attributes, line["draws"][maker].index(attributes[maker]))


def write_product(rng: random.Random, outline: Outline) -> Product:
    """Puts a product into words; a second call gives the same title another content.

    Args:
        rng: draws the wording.
        outline: what the product is.

    Returns:
        The product with title and content.
    """
    title = FORMATTER.fill(outline.frame["title"], outline.attributes)
    # The sentence's number shifts the style, else a maker would take the same alternative in every sentence.
    frames = [choose_wording(rng, each, outline.style + number) for number, each in enumerate(outline.frame["text"])]
    sentences = [FORMATTER.fill(frame, outline.attributes) for frame in frames]
    return Product(outline.kind, title, join_sentences(rng, sentences), outline)


def title_facts(outline: Outline) -> tuple[Fact, ...]:
    """The facts that the title of an outline states, in its order and as it states them."""
    names = load_fact_names()
    gaps = FORMATTER.gaps(outline.frame["title"])
    return tuple(Fact(names[gap], FORMATTER.read(gap, outline.attributes)) for gap in gaps)


def every_wording(outline: Outline) -> str:
    """Every sentence that a content of this outline can have, one in a line."""
    frames = itertools.chain.from_iterable(outline.frame["text"])
    return "\n".join(FORMATTER.fill(frame, outline.attributes) for frame in frames)


def fact_values() -> dict[str, list[str]]:
    """Every value that a title of the catalogue can state, by the name of its fact, in alphabetical order."""
    values: dict[str, set[str]] = {name: set() for name in load_fact_names().values()}
    for line in itertools.chain.from_iterable(load_kinds().values()):
        for gap in {gap for frame in line["frames"] for gap in FORMATTER.gaps(frame["title"])}:
            pool = line["draws"][re.split(r"\W", gap)[0]]
            values[load_fact_names()[gap]].update(FORMATTER.read(gap, {gap.split("[")[0]: each}) for each in pool)
    return {name: sorted(found) for name, found in values.items()}


def choose_wording(rng: random.Random, alternatives: Sequence[str], style: int) -> str:
    """Chooses the alternative that a house style prefers, or now and then any.

    Args:
        rng: draws whether the style is followed.
        alternatives: wordings of one sentence.
        style: any number; the preferred alternative is its remainder.

    Returns:
        One of the alternatives.
    """
    return alternatives[style % len(alternatives)] if rng.random() < STYLED_SHARE else rng.choice(alternatives)


def join_sentences(rng: random.Random, sentences: list[str]) -> str:
    """Joins the first sentence and most of the others; a few contents stop there, a few advertise more products.

    Args:
        rng: draws the sentences that are kept.
        sentences: all sentences of a content, in order.

    Returns:
        The content.
    """
    length = rng.random()
    if length < SHORT_SHARE:
        return sentences[0]
    kept = [sentence for sentence in sentences[1:] if rng.random() < KEPT_SHARE]
    more = write_advertisements(rng, rng.randint(3, 6)) if length > 1 - LONG_SHARE else []
    return " ".join([sentences[0], *kept, *more])


def write_advertisements(rng: random.Random, count: int) -> list[str]:
    """Writes advertisements for more products, as real catalogues append them to a content.

    Args:
        rng: draws the products.
        count: how many.

    Returns:
        A title and a content each.
    """
    return [
        f"See also {found.title}. {found.content}"
        for found in (write_product(rng, draw_outline(rng)) for _ in range(count))
    ]


def draw_kind(rng: random.Random) -> str:
    """Draws the kind of a product: a book, or any other kind with equal chances."""
    others = [kind for kind in load_kinds() if kind != "book"]
    return "book" if rng.random() < BOOK_SHARE else rng.choice(others)


@cache
def load_kinds() -> dict[str, list[ProductLine]]:
    """The lines of each kind of product, as vocabulary.yaml describes them, composed names written out."""
    kinds: dict[str, list[ProductLine]] = load_vocabulary()["kinds"]
    for line in itertools.chain.from_iterable(kinds.values()):
        line["draws"] = {name: compose_names(pool) for name, pool in line["draws"].items()}
    return kinds


def compose_names(pool: Any) -> list[Attribute]:
    """The values of a pool: a list as it is, or every start with every end, whose details come together.

    So a brand that training has never shown is still made of parts that it has, and its details follow from them.
    """
    if isinstance(pool, list):
        return pool
    pairs = itertools.product(pool["starts"], pool["ends"])
    return [{**start, **end, "name": start["name"] + end["name"]} for start, end in pairs]


@cache
def load_fact_names() -> dict[str, str]:
    """The name of the fact that each gap of a title states."""
    return {gap: name for name, gaps in load_vocabulary()["facts"].items() for gap in gaps}


@cache
def load_vocabulary() -> dict[str, Any]:
    """The content of vocabulary.yaml."""
    return dict(YAML(typ="safe").load(VOCABULARY.read_text(encoding="utf-8")))
