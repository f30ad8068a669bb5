"""An invented catalogue of products, which stands in for real ones where nothing may be downloaded.

Covers the grammar: which attributes a product draws, how its title and its description state them. The words are in
vocabulary.yaml. Does not cover the flaws of raw data (flaws.py) nor the file made of it (sample.py).
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from ruamel.yaml import YAML

VOCABULARY = Path(__file__).with_name("vocabulary.yaml")
BOOK_SHARE = 0.5
MAKERS = ("brand", "last", "name", "place")  # the first of them that a title states decides the house style
STYLED_SHARE = 0.85  # of the sentences that follow it, so that a title tells how its description is put
KEPT_SHARE = 0.85  # of the sentences after the first
SHORT_SHARE, LONG_SHARE = 0.02, 0.01


@dataclass(frozen=True)
class Product:
    """A product of the catalogue.

    `facts` are the attributes that the title states, as it states them. The content's first sentence or two restate
    them all, up to upper and lower case.
    """

    kind: str
    title: str
    content: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Outline:
    """What a product is, before it is put into words.

    `frame` holds its title and sentences, with gaps; `style` is the number of its maker's house style.
    """

    kind: str
    frame: dict[str, Any]
    attributes: dict[str, Any]
    style: int


class Frame(Formatter):
    """str.format with two more conversions: {name!l} is in lower case, {name!c} has one capital at its start."""

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        """The value as `conversion` writes it."""
        cases = {"l": str.lower, "c": str.capitalize}
        return cases[conversion](value) if conversion in cases else super().convert_field(value, conversion)

    def fill(self, frame: str, attributes: dict[str, Any]) -> str:
        """The frame with its attributes in place, and "an" for "a" before a vowel."""
        return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", self.vformat(frame, (), attributes))

    def facts(self, frame: str, attributes: dict[str, Any]) -> tuple[str, ...]:
        """The values of the attributes that the frame states."""
        return tuple(str(self.get_field(field, (), attributes)[0]) for _, field, _, _ in self.parse(frame) if field)


FRAME = Frame()


def generate_products(seed: int, count: int) -> Iterator[Product]:
    """`count` products, half of them books; the same seed gives the same ones in the same order."""
    rng = random.Random(seed)
    for _ in range(count):
        yield write_product(rng, draw_outline(rng))


def draw_outline(rng: random.Random) -> Outline:
    """What one product of a random kind is."""
    kind = draw_kind(rng)
    line = rng.choice(load_kinds()[kind])
    attributes = {name: rng.choice(pool) for name, pool in line["draws"].items()}
    frame = rng.choice(line["frames"])
    maker = next(name for name in MAKERS if f"{{{name}" in frame["title"])
    return Outline(kind, frame, attributes, line["draws"][maker].index(attributes[maker]))


def write_product(rng: random.Random, product: Outline) -> Product:
    """The product in words; another call gives the same title another description."""
    title = FRAME.fill(product.frame["title"], product.attributes)
    facts = FRAME.facts(product.frame["title"], product.attributes)
    frames = [choose_wording(rng, each, product.style + number) for number, each in enumerate(product.frame["text"])]
    sentences = [FRAME.fill(frame, product.attributes) for frame in frames]
    return Product(product.kind, title, join_sentences(rng, sentences), facts)


def choose_wording(rng: random.Random, alternatives: list[str], style: int) -> str:
    """The alternative that the style prefers, or now and then any."""
    return alternatives[style % len(alternatives)] if rng.random() < STYLED_SHARE else rng.choice(alternatives)


def join_sentences(rng: random.Random, sentences: list[str]) -> str:
    """The first sentence and most of the others; a few descriptions stop there, a few advertise more products."""
    length = rng.random()
    if length < SHORT_SHARE:
        return sentences[0]
    kept = [sentence for sentence in sentences[1:] if rng.random() < KEPT_SHARE]
    more = write_advertisements(rng, rng.randint(3, 6)) if length > 1 - LONG_SHARE else []
    return " ".join([sentences[0], *kept, *more])


def write_advertisements(rng: random.Random, count: int) -> list[str]:
    """`count` more products, a title and description each, as catalogues append them to a text."""
    return [
        f"See also {found.title}. {found.content}"
        for found in (write_product(rng, draw_outline(rng)) for _ in range(count))
    ]


def draw_kind(rng: random.Random) -> str:
    """The kind of a product: a book, or any other kind with equal chances."""
    others = [kind for kind in load_kinds() if kind != "book"]
    return "book" if rng.random() < BOOK_SHARE else rng.choice(others)


@cache
def load_kinds() -> dict[str, list[dict[str, Any]]]:
    """The lines of each kind of product, as vocabulary.yaml describes them."""
    return dict(YAML(typ="safe").load(VOCABULARY.read_text(encoding="utf-8"))["kinds"])
