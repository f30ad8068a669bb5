"""The report: every score of every system, differences with intervals, finite or none."""

import json
import math
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import pytest

from src.scoring.comparisons import Difference
from src.scoring.fact_counts import FactCounts, FoundFacts
from src.scoring.generations import Generation
from src.scoring.report import headline_scores, plotted_scores, round_scores, score_report
from src.scoring.scores import SCORES, SystemAnswers
from src.scoring.significance import Verdict

GOLDEN = Path(__file__).parents[1] / "golden/scores.json"

REFERENCES = ["A brass lamp for the desk.", "A blue bag of strong canvas."]
NEAREST = ["A steel lamp for the floor.", "A red bag of strong canvas."]
KEYS = [score.name for score in SCORES if score.compute]


def generations(answers: list[str], loss: float) -> list[Generation]:
    return [
        Generation(
            uid=str(number),
            title="title",
            prompt="prompt",
            answer=answer,
            reference=reference,
            tokens=5,
            finish_reason="stop",
            prompt_tokens=5,
            loss=loss * (number + 1),
            loss_tokens=4,
        )
        for number, (answer, reference) in enumerate(zip(answers, REFERENCES, strict=True))
    ]


def report(base: list[Generation], tuned: list[Generation], nearest: list[str], contents: list[str]) -> dict[str, Any]:
    references = [generation.reference for generation in base]
    return score_report(
        {
            "base": SystemAnswers([row.answer for row in base], references, contents, base),
            "tuned": SystemAnswers([row.answer for row in tuned], references, contents, tuned),
            "nearest": SystemAnswers(nearest, references, contents),
        }
    )


def test_a_perfect_model_against_a_silent_one() -> None:
    scores = report(generations(["", ""], 4.0), generations(REFERENCES, 2.0), NEAREST, NEAREST)
    assert list(scores) == ["records", "signatures", "base", "tuned", "nearest", "interval", "difference"]
    assert all(list(scores[system]) == KEYS for system in ("base", "tuned", "nearest"))
    assert [scores["tuned"][name] for name in ("bleu", "chrf", "rouge1", "rouge2", "rougeL")] == [100.0] * 5
    assert [scores["base"][name] for name in ("bleu", "chrf", "rouge1", "rouge2", "rougeL")] == [0.0] * 5
    found = scores["difference"]["tuned_minus_base"]["rougeL"]
    assert [found[bound] for bound in ("estimate", "low", "high")] == [100.0] * 3
    assert found["verdict"] == "too few records"  # of two records a quarter of all swaps differ as much
    assert scores["nearest"]["verbatim_copy_rate"] == 1.0
    assert scores["tuned"]["verbatim_copy_rate"] == 0.0


def test_differences_are_those_of_the_scores() -> None:
    scores = report(generations(["A lamp.", "A bag."], 4.0), generations(NEAREST, 2.0), REFERENCES, [])
    gain = scores["difference"]
    for other in ("base", "nearest"):
        expected = scores["tuned"]["rougeL"] - scores[other]["rougeL"]
        assert gain[f"tuned_minus_{other}"]["rougeL"]["estimate"] == pytest.approx(expected, abs=2e-6)
    expected = scores["tuned"]["answer_loss"] - scores["base"]["answer_loss"]
    assert gain["tuned_minus_base"]["answer_loss"]["estimate"] == pytest.approx(expected, abs=2e-6)
    assert gain["tuned_minus_nearest"]["rougeL"]["high"] < 0


def test_a_baseline_without_a_model_has_no_likelihood() -> None:
    scores = report(generations(["", ""], 4.0), generations(REFERENCES, 2.0), NEAREST, NEAREST)
    assert [scores["nearest"][name] for name in ("answer_loss", "perplexity", "stop_rate")] == [None] * 3
    assert "answer_loss" not in scores["difference"]["tuned_minus_nearest"]


def test_every_number_is_finite_or_none() -> None:
    scores = report(generations(["", ""], 9e9), generations(["", ""], 0.0), ["", ""], [])
    json.dumps(scores, allow_nan=False)


def test_overlap_scores_have_the_signatures_of_their_libraries() -> None:
    same = generations(NEAREST, 2.0)
    signatures = report(same, same, NEAREST, [])["signatures"]
    assert list(signatures) == ["bleu", "chrf", "chrf_plus_plus", "rouge1", "rouge2", "rougeL"]
    assert signatures["bleu"] == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version('sacrebleu')}"
    assert "nw:2" in signatures["chrf_plus_plus"] and "stem:no" in signatures["rougeL"]


def test_zero_has_no_sign() -> None:
    assert str(round_scores({"difference": -1e-9, "missing": None})) == "{'difference': 0.0, 'missing': None}"


WORDS = ["a", "the", "of", "for", "with", "brass", "lamp", "desk", "blue", "canvas", "bag", "garden", "hose", "strong"]
WORDS += ["café", "reader's", "guide", "1.5", "m"]


def synthetic_texts(random: Random, count: int) -> list[str]:
    return [" ".join(random.choices(WORDS, k=random.randint(3, 40))) for _ in range(count)]


def noisy_copies(random: Random, texts: list[str], kept: float) -> list[str]:
    """The texts with words exchanged, some ended early, some empty."""
    lines = [text.split()[: random.randint(0, 40)] for text in texts]
    return [" ".join(word if random.random() < kept else random.choice(WORDS) for word in line) for line in lines]


def synthetic_generations(random: Random, references: list[str], kept: float) -> list[Generation]:
    """Answers that hold `kept` of the references' words; the more, the more likely the references are."""
    pairs = zip(noisy_copies(random, references, kept), references, strict=True)
    return [
        Generation(
            uid=f"E{number}",
            title=f"title {number}",
            prompt="prompt",
            answer=answer,
            reference=reference,
            tokens=len(answer.split()),
            finish_reason="stop" if random.random() < kept else "length",
            prompt_tokens=5,
            loss=round(random.uniform(1, 3) * len(reference) * (1 - kept), 6),
            loss_tokens=len(reference.split()) + 1,
        )
        for number, (answer, reference) in enumerate(pairs)
    ]


def without_newer_scores(found: Any, golden: Any) -> Any:
    """What is found, without the scores, the sections and the columns that the golden report does not have."""
    if not isinstance(found, dict):
        return found
    names = {"interval", "signatures", *(score.name for score in SCORES), *Difference._fields}
    return {
        key: without_newer_scores(value, golden.get(key))
        for key, value in found.items()
        if key in golden or key not in names
    }


def test_the_report_is_the_golden_one_to_the_last_digit() -> None:
    """Scores that are newer than the golden report are left out; its bounds are those of 10,000 resamples."""
    random = Random(5)
    references, contents = synthetic_texts(random, 60), synthetic_texts(random, 90)
    base, tuned = (synthetic_generations(random, references, kept) for kept in (0.2, 0.7))
    nearest = [contents[n] if n % 3 else noisy_copies(random, references, 0.8)[n] for n in range(60)]
    scores = report(base, tuned, nearest, contents)
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert json.dumps(without_newer_scores(scores, golden)) == json.dumps(golden)


@pytest.mark.parametrize("score", ["bleu", "chrf"])
def test_corpus_scores_have_intervals(score: str) -> None:
    random = Random(5)
    references = synthetic_texts(random, 30)
    base, tuned = (synthetic_generations(random, references, kept) for kept in (0.2, 0.7))
    scores = report(base, tuned, references, [])
    for other, ahead in (("base", True), ("nearest", False)):
        found = scores["difference"][f"tuned_minus_{other}"][score]
        assert found["estimate"] == pytest.approx(scores["tuned"][score] - scores[other][score], abs=2e-6)
        assert found["low"] < found["estimate"] < found["high"]
        assert (found["low"] > 0) if ahead else (found["high"] < 0)


class OneFact:
    """A record with one fact, which an answer states or not; what else it states is wrong."""

    def __init__(self, fact: str) -> None:
        self.fact = fact

    def count(self, answer: str) -> dict[str, FactCounts]:
        return {"word": FactCounts(1, int(self.fact in answer.split()), int(answer not in ("", self.fact)))}

    def find(self, answer: str) -> FoundFacts:
        words = frozenset(answer.split())
        return FoundFacts(words & {self.fact}, words - {self.fact})


def fact_report(answers: list[str], facts: list[OneFact] | None) -> dict[str, Any]:
    references = ["a lamp"] * len(answers)
    tuned = SystemAnswers(answers, references, [], facts=facts)
    return score_report({"tuned": tuned, "other": SystemAnswers(["b", "a", "a"], references, [], facts=facts)})


def test_facts_are_scored_with_intervals_of_their_own() -> None:
    found = fact_report(["a", "b", "b"], [OneFact("a")] * 3)
    assert found["tuned"]["facts_stated"] == pytest.approx(100 / 3, abs=1e-6)
    assert found["tuned"]["facts_wrong"] == pytest.approx(200 / 3, abs=1e-6)
    assert list(found["interval"]) == ["tuned", "other"]
    for score in ("facts_stated", "facts_wrong"):
        bounds = found["interval"]["tuned"][score]
        assert 0 <= bounds["low"] < found["tuned"][score] < bounds["high"] <= 100
    assert found["difference"]["tuned_minus_other"]["facts_stated"]["estimate"] == pytest.approx(-100 / 3, abs=1e-6)


def test_where_nothing_is_stated_nothing_is_wrong() -> None:
    found = fact_report(["", "", ""], [OneFact("a")] * 3)
    assert found["tuned"]["facts_stated"] == 0.0
    assert found["tuned"]["facts_wrong"] is None
    assert "facts_stated" in found["interval"]["tuned"] and "facts_wrong" not in found["interval"]["tuned"]
    assert "facts_wrong" not in found["difference"]["tuned_minus_other"]


def test_without_facts_there_is_no_score_of_them() -> None:
    found = fact_report(["a", "b", "b"], None)
    assert (found["tuned"]["facts_stated"], found["tuned"]["facts_wrong"]) == (None, None)
    assert not {"facts_stated", "facts_wrong"} & {*found["interval"]["tuned"], *found["interval"]["other"]}


def test_equal_systems_do_not_differ() -> None:
    same = generations(NEAREST, 2.0)
    found = report(same, same, NEAREST, [])["difference"]
    for row in [row for pair in found.values() for row in pair.values()]:
        assert [row[name] for name in ("estimate", "low", "high", "detectable")] == [0.0] * 4
        assert (row["p_value"], row["corrected_p_value"]) == (1.0, 1.0)
        assert (row["records_needed"], row["verdict"]) == (None, "chance")


def synthetic_report(records: int, kept: tuple[float, float]) -> dict[str, Any]:
    """The report on a base and a tuned model that keep as large shares of the references' words."""
    random = Random(5)
    references = synthetic_texts(random, records)
    base, tuned = (synthetic_generations(random, references, share) for share in kept)
    return report(base, tuned, synthetic_texts(random, records), [])


def test_every_difference_has_a_verdict_corrected_for_all_of_the_report() -> None:
    found = synthetic_report(60, kept=(0.2, 0.7))["difference"]
    rows = [row for pair in found.values() for row in pair.values()]
    assert {found[pair][score]["verdict"] for pair in found for score in ("bleu", "chrf", "rougeL")} == {"not chance"}
    assert {row["verdict"] for row in rows} <= set(Verdict)
    smallest = min(row["p_value"] for row in rows)
    assert min(row["corrected_p_value"] for row in rows) == pytest.approx(len(rows) * smallest, abs=1e-5)
    gain = found["tuned_minus_base"]["rougeL"]
    assert gain["records_needed"] == max(2, math.ceil(60 * (gain["detectable"] / gain["estimate"]) ** 2))


def test_every_score_with_sums_has_an_interval_of_its_own() -> None:
    found = synthetic_report(30, kept=(0.2, 0.7))
    expected = [
        score.name for score in SCORES if score.compute and score.sums and found["tuned"][score.name] is not None
    ]
    assert list(found["interval"]["tuned"]) == expected
    assert "answer_loss" in expected
    assert all(bounds["low"] <= bounds["high"] for bounds in found["interval"]["tuned"].values())


def test_the_headlines_are_those_of_the_systems_to_decide_by() -> None:
    found = report(generations(["", ""], 4.0), generations(REFERENCES, 2.0), NEAREST, NEAREST)
    headlines = headline_scores(found, ["base", "tuned"])
    assert list(headlines) == ["facts_stated", "facts_wrong", "rougeL"]
    assert list(headlines["rougeL"]) == ["base", "tuned"]
    assert headlines["rougeL"]["tuned"] == found["tuned"]["rougeL"] == 100.0


def test_a_plotted_score_has_its_name_and_its_interval_or_nothing() -> None:
    found = fact_report(["a", "b", "b"], [OneFact("a")] * 3)
    shown = {(row["score"], row["system"]): row for row in plotted_scores(found)}
    stated = shown["facts of the title stated (%), higher is better", "tuned"]
    assert stated["value"] == found["tuned"]["facts_stated"]
    assert stated["low"] < stated["value"] < stated["high"]
    without = {row["score"]: row for row in plotted_scores(fact_report(["a", "b", "b"], None))}
    row = without["stated facts that are wrong (%), lower is better"]
    assert (row["value"], row["low"], row["high"]) == ("", "", "")
