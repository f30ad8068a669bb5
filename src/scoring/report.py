"""All scores of base, tuned and nearest on the same records, and how much better tuned is.

Covers which scores a system gets and how they are rounded. BLEU, chrF and ROUGE run from 0 to 100, shares from 0 to 1;
None stands where a score has no meaning, as the loss of a baseline without a model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from src.scoring.generations import NO_LIKELIHOOD, Generation, likelihood_scores
from src.scoring.intervals import paired_difference
from src.scoring.overlap import OverlapScores, overlap_scores
from src.scoring.style import style_scores

Scores = dict[str, float | None]

DIGITS = 6


def score_report(
    base: Sequence[Generation], tuned: Sequence[Generation], nearest: Sequence[str], descriptions: Sequence[str]
) -> dict[str, Any]:
    """The content of metrics/evaluate.json: `records`, the scores of each system, and `difference`.

    `base` and `tuned` are paired (see check_paired), `nearest` holds the baseline's answers in the same order, and
    `descriptions` are those of the training records.
    """
    references = [generation.reference for generation in base]
    answers = {"base": answers_of(base), "tuned": answers_of(tuned), "nearest": nearest}
    likelihoods = {"base": likelihood_scores(base), "tuned": likelihood_scores(tuned), "nearest": NO_LIKELIHOOD}
    overlaps = {system: overlap_scores(texts, references) for system, texts in answers.items()}
    styles = {system: style_scores(texts, references, descriptions) for system, texts in answers.items()}
    scores = {
        system: round_scores(overlaps[system].corpus | likelihoods[system] | styles[system]) for system in answers
    }
    return {"records": len(base), **scores, "difference": differences(overlaps, base, tuned)}


def answers_of(generations: Sequence[Generation]) -> list[str]:
    """The answers, in order."""
    return [generation.answer for generation in generations]


def differences(
    overlaps: Mapping[str, OverlapScores], base: Sequence[Generation], tuned: Sequence[Generation]
) -> dict[str, dict[str, Scores]]:
    """Tuned minus base and tuned minus nearest: by score the estimate and the bounds of its 95% interval."""
    from_base, from_nearest = (overlap_differences(overlaps["tuned"], overlaps[name]) for name in ("base", "nearest"))
    from_base["answer_loss"] = loss_difference(tuned, base)
    return {"tuned_minus_base": from_base, "tuned_minus_nearest": from_nearest}


def overlap_differences(first: OverlapScores, second: OverlapScores) -> dict[str, Scores]:
    """First minus second, for ROUGE-L and for the mean of chrF over records."""
    return {
        name: round_scores(paired_difference(first.records[name], second.records[name]))
        for name in ("rougeL", "chrf_sentence")
    }


def loss_difference(first: Sequence[Generation], second: Sequence[Generation]) -> Scores:
    """First minus second in nats per token: each record's loss per token, weighted by its tokens."""
    by_token = [[g.loss / g.loss_tokens for g in generations] for generations in (first, second)]
    return round_scores(paired_difference(by_token[0], by_token[1], weights=[g.loss_tokens for g in first]))


def round_scores(scores: Mapping[str, float | None]) -> Scores:
    """The scores to 6 digits, which hides the order in which a machine adds; + 0.0 turns -0.0 into 0.0."""
    return {name: None if score is None else round(score, DIGITS) + 0.0 for name, score in scores.items()}
