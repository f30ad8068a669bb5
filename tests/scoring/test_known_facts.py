"""Facts by the truth: what a title states is right, another value of its attributes is wrong, in any case and order."""

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.scoring.fact_counts import FactCounts, add_counts
from src.scoring.known_facts import KnownFacts, ProductTruth, Truth, Vocabulary, facts_by_truth, known_facts, plain_text

# The end of a title whose content has another word put in somewhere: a near duplicate of another one.
VARIANTS = ("(Blue)", "(Grey)", "(Large)", "(Small)", "(Revised)")
SAMPLE = Path(__file__).parents[2] / "data/sample"
VALUES = {
    "brand": ["Snugwhistle", "Café Plume", "Dumplington's", "Quillfeather & Daughters"],
    "kind": ["Lamp", "Table Lamp", "Mixing Bowl", "Bowl"],
    "colour": ["Moss Green", "Navy Blue", "Olive", "Crème"],
    "size": ["2 litres", "12 litres", "7½ litres", "2 litres per hour"],
    "pack": ["Set of 2", "Set of 24"],
    "players": ["2-4 Players", "2-6 Players"],
    "number": ["2", "4", "24", "Ten"],
    "ages": ["Ages 8+", "Ages 4-8"],
    "place": ["Upper Quibble", "Otterby-on-Sea"],
    "name": ["Olive", "Pip"],
}
VOCABULARY = Vocabulary(VALUES)

# What a title states: a value for some of the attributes.
titles = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
stated_titles = titles.filter(bool)


def facts_of(stated: dict[str, str], implied: dict[str, list[str]] | None = None) -> KnownFacts:
    known: ProductTruth = {"stated": {name: [value] for name, value in stated.items()}, "implied": implied or {}}
    found = known_facts(", ".join(stated.values()), known, VOCABULARY)
    assert found
    return found


def find(text: str) -> set[str]:
    return VOCABULARY.find(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("The Table Lamp by Snugwhistle.", {"table lamp", "snugwhistle"}),  # and no lamp
        ("A TABLE  LAMP\nor a lamp", {"table lamp", "lamp"}),
        ("It holds 12 litres.", {"12 litres"}),  # and not 2 litres
        ("It holds 2 litres.", {"2 litres"}),
        ("It pumps 2 litres per hour", {"2 litres per hour"}),
        ("It holds 7½ litres", {"7½ litres"}),
        ("sold as a set of 24", {"set of 24"}),  # and neither set of 2 nor 24
        ("for 2-4 players", {"2-4 players"}),  # and neither 2 nor 4
        ("for 2–4 players, ages 8+", {"2-4 players", "ages 8+"}),
        ("4-2, 2.4, 24-7, 2/4 and 12", set()),
        ("Ten tents, often", {"ten"}),
        ("Dumplington’s lamps", {"dumplington's"}),  # a plural is another word
        ("Snugwhistle's bowl", {"snugwhistle", "bowl"}),
        ("CAFÉ PLUME and Cafe\u0301 Plume", {"café plume"}),  # one letter or a letter and its accent
        ("Otterby-on-Sea", {"otterby-on-sea"}),
        ("in moss green—or navy blue", {"moss green", "navy blue"}),
        ("", set()),
    ],
)
def test_values_are_whole_words_and_the_longest(text: str, values: set[str]) -> None:
    assert find(text) == values


@given(stated_titles, st.randoms())
def test_an_answer_equal_to_the_title_is_right(stated: dict[str, str], random: Random) -> None:
    shuffled = random.sample(list(stated.values()), len(stated))
    assert facts_of(stated).count(", ".join(shuffled)) == {name: FactCounts(1, 1, 0) for name in stated}


@given(stated_titles, titles, st.randoms())
def test_case_makes_no_difference(stated: dict[str, str], answer: dict[str, str], random: Random) -> None:
    text = " and ".join(answer.values())
    recased = "".join(random.choice([str.upper, str.lower])(letter) for letter in text)
    assert facts_of(stated).count(recased) == facts_of(stated).count(text)


@given(stated_titles, st.data())
def test_another_value_of_an_attribute_is_wrong(stated: dict[str, str], data: st.DataObject) -> None:
    others = [(name, value) for name in stated for value in VALUES[name] if value not in stated.values()]
    name, other = data.draw(st.sampled_from(others))
    answer = " / ".join((stated | {name: other}).values())
    counts = add_counts(facts_of(stated).count(f"{answer} / {other}"))  # twice: counted once
    still_stated = sum(value in find(answer) for value in map(plain_text, stated.values()))
    assert counts == FactCounts(len(stated), still_stated, 1)
    assert add_counts(facts_of(stated, {name: [other]}).count(answer)).wrong == 0  # unless it is implied


@given(stated_titles, titles)
def test_only_attributes_of_the_title_can_be_wrong(stated: dict[str, str], answer: dict[str, str]) -> None:
    other = {name: value for name, value in answer.items() if name not in stated}
    possible = {plain_text(value) for name in stated for value in VALUES[name]}
    wrong = add_counts(facts_of(stated).count(", ".join(other.values()))).wrong
    assert wrong == len({plain_text(value) for value in other.values()} & possible - facts_of(stated).allowed)


@given(st.lists(st.sampled_from([value for values in VALUES.values() for value in values] + ["a", "of", "-"])))
def test_the_order_of_the_vocabulary_does_not_matter(words: list[str]) -> None:
    turned = Vocabulary({name: values[::-1] for name, values in reversed(VALUES.items())})
    assert turned.find(" ".join(words)) == find(" ".join(words))


def test_a_value_of_two_attributes_is_counted_once() -> None:
    counts = facts_of({"colour": "Moss Green", "name": "Pip"}).count("Olive, the green one")
    assert counts == {"colour": FactCounts(1, 0, 1), "name": FactCounts(1, 0, 0)}


def test_an_attribute_may_have_several_values() -> None:
    known: ProductTruth = {"stated": {"colour": ["Moss Green", "Olive"]}, "implied": {}}
    facts = known_facts("Olive and Moss Green", known, VOCABULARY)
    assert facts
    assert facts.count("Olive, Navy Blue or Crème") == {"colour": FactCounts(2, 1, 2)}
    assert facts.find("Olive, Navy Blue or Crème") == ({"olive"}, {"navy blue", "crème"})


def test_the_samples_own_titles_and_contents_state_all_facts_and_nothing_wrong() -> None:
    truth, flawed = (read_sample(name) for name in ("facts", "ground_truth"))
    lines = gzip.decompress((SAMPLE / "trn.json.gz").read_bytes()).splitlines()
    found = (row for row in map(parse_row, lines) if row and row["uid"] not in flawed["records"])
    clean = [row for row in found if not row["title"].endswith(VARIANTS)]
    assert len(clean) > 2000
    uids, titles = [row["uid"] for row in clean], [row["title"] for row in clean]
    for row, facts in zip(clean, facts_by_truth(uids, titles, truth), strict=True):
        assert facts
        own, _, advertised = row["content"].partition(" See also ")
        for text in (row["title"], own if advertised else row["content"]):
            counts = add_counts(facts.count(text))
            assert (counts.stated, counts.wrong) == (counts.in_title, 0), (row["title"], text)


def read_sample(name: str) -> Any:
    """A ground truth of the synthetic sample."""
    return json.loads(gzip.decompress((SAMPLE / f"{name}.json.gz").read_bytes()))


def parse_row(line: bytes) -> dict[str, str] | None:
    """A raw record with title and content; None for a malformed line and an empty field."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(row, dict) and isinstance(row.get("title"), str) and row["title"] and row.get("content")
    return row if whole else None


def test_the_truth_is_looked_up_by_uid_and_holds_for_its_own_title_alone() -> None:
    truth: Truth = {"values": VALUES, "records": {"1": {"stated": {"kind": ["Table Lamp"]}, "implied": {}}}}
    titles = ["Snugwhistle Table Lamp", "A History of Upper Quibble", "Snugwhistle Table Lamp"]
    found = facts_by_truth(["1", "1", "2"], titles, truth)
    assert [facts is not None for facts in found] == [True, False, False]
