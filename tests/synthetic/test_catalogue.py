"""The invented catalogue: contents state what titles state, lengths are realistic, and there are enough products."""

import math
import re
import statistics
from string import Formatter

from hypothesis import given, settings
from hypothesis import strategies as st

from src.synthetic.catalogue import (
    FORMATTER,
    Attribute,
    Fact,
    Outline,
    Product,
    ProductFrame,
    ProductLine,
    compose_names,
    every_wording,
    fact_values,
    generate_products,
    load_kinds,
    title_facts,
)

SEEDS = st.integers(min_value=0, max_value=2**32)


def test_formatter_writes_cases_and_articles() -> None:
    attributes: dict[str, Attribute] = {"size": "A Large Egg", "item": {"name": "Oak TRAY"}}
    assert (
        FORMATTER.fill("A {item[name]!l}, a {item[name]!c}: {size}", attributes)
        == "An oak tray, an Oak tray: A Large Egg"
    )
    assert FORMATTER.gaps("{size} of {item[name]!l}") == ["size", "item[name]"]
    assert [FORMATTER.read(gap, attributes) for gap in ("size", "item[name]")] == ["A Large Egg", "Oak TRAY"]


def outline(product: Product) -> Outline:
    """The outline that a generated product follows."""
    assert product.outline
    return product.outline


def test_names_are_composed_and_carry_the_details_of_both_parts() -> None:
    pool = {"starts": [{"name": "Oak", "years": "two"}, {"name": "Elm", "years": "ten"}], "ends": [{"name": "by"}]}
    assert compose_names(pool) == [{"name": "Oakby", "years": "two"}, {"name": "Elmby", "years": "ten"}]
    assert compose_names(["red"]) == ["red"]


@given(seed=SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_content_is_one_of_the_wordings(seed: int) -> None:
    for product in generate_products(seed, 10):
        own = product.content.split(" See also ")[0]
        for sentence in every_wording(outline(product)).splitlines():
            own = own.replace(sentence, "")
        assert not own.strip()


def test_every_fact_of_a_title_is_among_the_known_values() -> None:
    values = fact_values()
    found = [fact for product in generate_products(2, 2000) for fact in title_facts(outline(product))]
    assert all(fact.value in values[fact.name] for fact in found)
    assert {fact.name for fact in found} == values.keys()
    assert Fact("colour", "Moss Green") in found


@given(seed=SEEDS)
@settings(max_examples=50, deadline=None)
def test_content_states_every_attribute_of_the_title(seed: int) -> None:
    for product in generate_products(seed, 20):
        facts = title_facts(outline(product))
        assert facts
        assert all(fact.value in product.title for fact in facts)
        assert all(fact.value.lower() in product.content.lower() for fact in facts)


@given(seed=SEEDS)
@settings(max_examples=50, deadline=None)
def test_texts_are_clean(seed: int) -> None:
    for product in generate_products(seed, 20):
        for text in (product.title, product.content):
            assert text == " ".join(text.split())
            assert not re.search(r"[{}]|<\w|&\w+;|\b[Aa] [aeiou]|\b[Aa]n (?!hour)[^aeiouAEIOU\W]|\.\.", text)
        assert product.content[-1] in ".!?"


def test_products_depend_on_the_seed_alone() -> None:
    assert list(generate_products(3, 200)) == list(generate_products(3, 200))


def test_another_seed_gives_other_records() -> None:
    first, second = ({(p.title, p.content) for p in generate_products(seed, 10_000)} for seed in (1, 2))
    assert len(first & second) < 0.001 * len(first)
    assert len({title for title, _ in first} & {title for title, _ in second}) < 0.01 * len(first)


def test_every_second_product_is_a_book_and_the_rest_are_of_ten_kinds_or_more() -> None:
    found = [product.kind for product in generate_products(1, 4000)]
    assert abs(found.count("book") / len(found) - 0.5) < 0.03
    assert len(set(found)) >= 11


def test_lengths_are_like_those_of_real_records() -> None:
    found = list(generate_products(1, 4000))
    titles, contents = (
        [len(text) for text in texts] for texts in zip(*((p.title, p.content) for p in found), strict=True)
    )
    assert 45 <= statistics.median(titles) <= 65
    assert min(titles) >= 17 and max(titles) <= 125
    assert 240 <= statistics.median(contents) <= 320
    assert min(contents) >= 40
    assert sum(150 <= length <= 450 for length in contents) > 0.9 * len(contents)
    assert max(contents) > 1000


def test_there_are_more_titles_than_a_sample_can_exhaust() -> None:
    assert (
        sum(count_titles(line, frame) for lines in load_kinds().values() for line in lines for frame in line["frames"])
        > 500_000
    )


def count_titles(line: ProductLine, frame: ProductFrame) -> int:
    """The number of titles that a frame can give."""
    names = {re.split(r"[.[]", name)[0] for _, name, _, _ in Formatter().parse(frame["title"]) if name}
    return math.prod(len(line["draws"][name]) for name in names)


def test_titles_rarely_repeat() -> None:
    titles = [product.title for product in generate_products(1, 10_000)]
    assert len(set(titles)) > 0.97 * len(titles)


def test_vocabulary_is_small() -> None:
    words = {
        word for p in generate_products(1, 20_000) for word in re.findall(r"[\w’'-]+", f"{p.title} {p.content}".lower())
    }
    assert len(words) < 2800


def test_special_characters_occur() -> None:
    text = " ".join(product.content for product in generate_products(1, 5000))
    assert all(character in text for character in "'’“”—©é°½&<$")
