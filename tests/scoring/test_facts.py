"""The choice between known facts and those of the title."""

from src.scoring.facts import facts_of_records
from src.scoring.known_facts import KnownFacts, Truth
from src.scoring.title_facts import TitleFacts
from tests.scoring.rows import generation

TRUTH: Truth = {
    "values": {"kind": ["Lamp", "Bowl"]},
    "records": {"known": {"stated": {"kind": ["Lamp"]}, "implied": {}}},
}


def test_known_products_are_judged_by_the_truth_and_others_by_their_titles() -> None:
    rows = [
        generation(uid="known", title="A Lamp"),
        generation(uid="known", title="A Snugwhistle"),  # another product of the same number
        generation(uid="other", title="A Lamp of Snugwhistle"),
    ]
    facts = facts_of_records(rows, TRUTH, ["a lamp"])
    assert [type(each) for each in facts] == [KnownFacts, TitleFacts, TitleFacts]
    assert [list(each.count("A bowl.")) for each in facts] == [["kind"], *[["number", "name"]] * 2]
    assert facts[2].count("Snugwhistle")["name"].in_title == 1  # the training content writes lamp small
