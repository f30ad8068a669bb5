"""Asks a language model which of two answers is better, where evaluate.judge names an endpoint.

The tuned model is compared with the base model, with the nearest-title copy and with every other endpoint, on the first
evaluate.judge_records records, in both orders. The judge's own answers are left out: models prefer their own
(Panickssery et al. 2024). Writes data/judgements.json; what the judge has said is kept in .answers and not asked for
again.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from src.inference.endpoint import EndpointEngine
from src.inference.engine import Sampling
from src.params import EndpointParams, Params
from src.prompts.rendering import Prompt
from src.records.parquet import TEXTS, read_batches
from src.scoring.generations import Generation, read_generations
from src.scoring.judgements import (
    Judgement,
    Judgements,
    agreed,
    judge_question,
    make_judgement,
    write_judgements,
)
from src.scoring.nearest import nearest_titles
from src.scoring.pairing import check_paired
from src.stages.runner import Outcome, run_stage

GENERATIONS, TRAIN = Path("data/generations"), Path("data/split/train.parquet")
JUDGEMENTS = "data/judgements.json"
TUNED, BASE, NEAREST = "tuned", "base", "nearest"
ONE_WORD = Sampling(max_new_tokens=16)  # the likeliest; some services take no smaller limit


def main(params: Params) -> Outcome:
    """Has pairs of answers judged; without a judge the file holds none."""
    evaluate = params.evaluate
    judge = next((one for one in evaluate.endpoints if one.name == evaluate.judge), None)
    if judge is None:
        write_judgements(JUDGEMENTS, Judgements(judge="", model="", judgements=[]))
        return Outcome("evaluate.judge names none")
    engine = EndpointEngine(judge)
    rows = read_models([one.name for one in evaluate.endpoints if one.name != judge.name], evaluate.judge_records)
    answers = {name: [row.answer for row in found] for name, found in rows.items()}
    answers[NEAREST] = nearest_contents([row.title for row in rows[TUNED]])

    judgements = [
        judgement
        for other in answers
        if other != TUNED
        for judgement in judge_pair(engine, rows[TUNED], (TUNED, other), answers[other])
    ]
    write_judgements(JUDGEMENTS, Judgements(judge=judge.name, model=judge.model, judgements=judgements))
    return Outcome(describe_judgements(judge, judgements))


def read_models(endpoints: Sequence[str], records: int) -> dict[str, list[Generation]]:
    """The first generations of the models that are compared, by name.

    Args:
        endpoints: the names of those that are compared.
        records: how many; 0 takes all.
    """
    paths = {name: GENERATIONS / f"{name}.jsonl" for name in (TUNED, BASE)}
    paths |= {name: GENERATIONS / "endpoints" / f"{name}.jsonl" for name in endpoints}
    rows = {name: read_generations(path)[: records or None] for name, path in paths.items()}
    check_paired(rows)
    return rows


def nearest_contents(titles: Sequence[str]) -> list[str]:
    """For each title the content of the training record whose title is nearest."""
    train = pl.concat(read_batches(TRAIN, TEXTS))
    return train["content"].gather(nearest_titles(titles, train["title"].to_list())).to_list()


def judge_pair(
    engine: EndpointEngine, rows: Sequence[Generation], pair: tuple[str, str], others: Sequence[str]
) -> list[Judgement]:
    """The judge's verdicts on two systems.

    Args:
        engine: the judge.
        rows: the first system's.
        pair: the names of the two.
        others: the second system's answers to the same titles.
    """
    compared = list(zip(rows, others, strict=True))
    forward: list[Prompt] = [judge_question(row.title, row.answer, other) for row, other in compared]
    backward: list[Prompt] = [judge_question(row.title, other, row.answer) for row, other in compared]
    said = [answer.text for answer in engine.answer([*forward, *backward], ONE_WORD)]
    uids, pairs = [row.uid for row in rows], [pair] * len(rows)
    return list(map(make_judgement, uids, pairs, said[: len(rows)], said[len(rows) :]))


def describe_judgements(judge: EndpointParams, judgements: Sequence[Judgement]) -> str:
    """The line that the stage ends with.

    Args:
        judge: the endpoint.
        judgements: its.
    """
    unparsed = sum(agreed(judgement) is None for judgement in judgements)
    told = f"{len(judgements):,} pairs of answers judged by {judge.name} in both orders"
    return (
        f"{told}; {unparsed:,} without a verdict, since it said something else than A, B or tie" if unparsed else told
    )


if __name__ == "__main__":
    run_stage(main)
