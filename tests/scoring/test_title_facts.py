"""Facts by the title alone: its numbers as written, its names by how the training descriptions write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.scoring import title_facts
from src.scoring.fact_counts import FactCounts, add_counts
from src.scoring.title_facts import CapitalUse, TitleFacts, find_numbers, find_words, read_tokens, title_names

CONTENTS = [
    "This pen by Orla Thistlewick writes in black. Ink is included, and Snugwhistle pens take any ink.",
    "Made for Snugwhistle pens. Every pen in our Pen and Ink Range fits. See www.marrowgate.com for more.",
    "The lamp by Marrowgate, Hobnobbin and Grumblestone is black.",
]
USES = CapitalUse(CONTENTS)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,000 sheets, 2-4 players, 7.5 inches", {"1000", "2-4", "7.5"}),
        ("0.5mm, .7 mm, 2–4, 12-inch", {"0.5", "0.7", "2-4", "12"}),
        ('17" x 23", 8.5x11, 5X7', {"17", "23", "8.5", "11", "5", "7"}),
        ("1/2 and 8-1/2 and 7½ and ½", {"1/2", "8-1/2", "7½", "½"}),
        ("8-Tab, 1-Pack, 2nd, #10, (4711)", {"8", "1", "2", "10", "4711"}),
        ("12, 24,36. 5", {"12", "24", "36", "5"}),
        ("QX31-B, T-3, A4, 81MQ, ZuP202", set()),  # codes and a word
        ("the two of them", set()),
    ],
)
def test_numbers_are_those_in_digits_as_they_are_written(text: str, numbers: set[str]) -> None:
    assert find_numbers(read_tokens(text)) == numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Orla’s and Dumplington's, O'Brien", {"orla", "and", "dumplington", "o'brien"}),
        ("QX31-B (ZK77-3P) 8-Tab Y-WIPO", {"qx31-b", "zk77-3p", "tab", "y", "wipo"}),
        ("17 x 23x5", {"x"}),
    ],
)
def test_words_and_codes_are_compared_without_case_and_possessive(text: str, words: set[str]) -> None:
    assert find_words(read_tokens(text)) == words


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Snugwhistle Black Ink Pen", {"snugwhistle"}),
        ("Black Pen by Orla Thistlewick", {"orla", "thistlewick"}),
        ("Marrowgate's Lamp, Hobnobbin, Grumblestone", {"marrowgate", "hobnobbin", "grumblestone"}),
        ("Wobblethorpe pen", {"wobblethorpe"}),  # which no description has
        ("SNUGWHISTLE WOBBLETHORPE PEN", {"snugwhistle"}),  # capitals that tell nothing
        ("SNUGWHISTLE Wobblethorpe PEN", {"snugwhistle", "wobblethorpe"}),
        ("snugwhistle pen", set()),
        ("A Pen, T, QX31-B", {"qx31-b"}),
    ],
)
def test_names_are_what_is_hardly_ever_written_small(title: str, names: set[str]) -> None:
    assert title_names(title, USES) == names


def test_capitals_count_within_a_sentence_alone() -> None:
    assert (USES.capitalised["pen"], USES.small["pen"]) == (1, 2)
    assert (USES.capitalised["ink"], USES.small["ink"]) == (1, 1)  # the one after a full stop does not count
    assert USES.capitalised["thistlewick"] == 1  # behind another name
    assert (USES.capitalised["marrowgate"], USES.small["marrowgate"]) == (1, 0)  # the web address does not count


@pytest.mark.parametrize(("small", "is_name"), [(1, True), (2, False)])
def test_a_name_may_be_written_small_now_and_then(small: int, is_name: bool) -> None:
    uses = CapitalUse(["made by Orla", *["made by Orla"] * 8, *["made by orla"] * small])
    assert uses.is_name("orla", unseen=True) == is_name


def test_descriptions_are_counted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(title_facts, "BATCH", 2)
    found = CapitalUse(CONTENTS)
    assert (found.capitalised, found.small) == (USES.capitalised, USES.small)


def test_an_answer_is_judged_by_title_and_reference() -> None:
    facts = TitleFacts("Snugwhistle Pen, 0.7 mm, 12 Pens", "A black pen for Hobnobbin ink, 5 inches.", USES)
    assert facts.count("The snugwhistle pen writes 0.7 mm lines; 5 inches, with Hobnobbin ink.") == {
        "number": FactCounts(2, 1, 0),
        "name": FactCounts(1, 1, 0),
    }
    assert facts.count("Wobblethorpe makes this pen by Marrowgate of Mossferry: 0.5 mm and 0.5 mm, 12 in a box.") == {
        "number": FactCounts(2, 1, 1),
        "name": FactCounts(1, 0, 2),  # what begins a sentence is no name unless the descriptions show it
    }
    assert facts.find("A snugwhistle pen, 0.5 mm.") == ({"snugwhistle"}, {"0.5"})


def test_a_title_without_numbers_and_names_has_no_facts() -> None:
    assert add_counts(TitleFacts("black pen", "", USES).count("black")) == FactCounts(0, 0, 0)


texts = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(["Orla", "pen", "Wobblethorpe's", "2-4", "1,000", "QX31-B", "17x23", "½", "O’Brien", "A", "."])
    ).map(" ".join),
)


@given(texts, texts)
def test_title_and_reference_are_never_wrong(title: str, reference: str) -> None:
    facts = TitleFacts(title, reference, USES)
    repeated = add_counts(facts.count(title))
    assert (repeated.stated, repeated.wrong) == (repeated.in_title, 0)
    assert add_counts(facts.count(reference)).wrong == 0


@given(texts, texts)
def test_counts_are_in_bounds(title: str, answer: str) -> None:
    for counts in TitleFacts(title, "", USES).count(answer).values():
        assert 0 <= counts.stated <= counts.in_title
        assert counts.wrong >= 0
