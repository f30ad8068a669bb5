"""Scores the base model, the tuned model and the baselines on the same held-out records.

Reads the models' answers in data/generations, for the baselines data/split/train.parquet, and what is known of the
sample's products; writes metrics/evaluate.json and plots/evaluate. The systems are rows of src/scoring/systems.py, the
scores rows of src/scoring/scores.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from src.files import read_json, write_json, write_tsv
from src.params import Params
from src.records.parquet import TEXTS, read_batches
from src.scoring.fact_counts import REFERENCE, CountsByAttribute, count_facts, fact_rows
from src.scoring.facts import facts_of_records
from src.scoring.generations import read_generations
from src.scoring.pairing import check_paired
from src.scoring.report import score_report
from src.scoring.scores import SCORES, SystemAnswers
from src.scoring.systems import SYSTEMS, TUNED, TrainingRecords, system_answers
from src.stages.runner import run_stage

GENERATIONS, TRAIN = Path("data/generations"), Path("data/split/train.parquet")
FACTS = Path("data/sample/facts.json.gz")  # read whatever data.raw is: see facts_of_records


def main(params: Params) -> None:
    """Compares all systems; reads no parameter."""
    models = [system.name for system in SYSTEMS if not system.baseline]
    generations = {name: read_generations(GENERATIONS / f"{name}.jsonl") for name in models}
    check_paired(generations)
    train = pl.concat(read_batches(TRAIN, TEXTS))
    training = TrainingRecords(train["title"].to_list(), train["content"].to_list())

    truth = read_json(FACTS)
    facts = facts_of_records(generations[TUNED], truth, training.contents)
    systems = system_answers(SYSTEMS, generations, training, facts)

    scores = score_report(systems)

    write_json("metrics/evaluate.json", scores)
    write_tsv("plots/evaluate/scores.tsv", score_rows(scores))
    write_tsv("plots/evaluate/facts.tsv", fact_rows(counted_facts(systems)))
    print(f"Scored {scores['records']} records: {summarise_scores(scores)}.")


def score_rows(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """The plotted scores of each system, one a row."""
    plotted = [score.name for score in SCORES if score.plotted]
    return [{"metric": m, "system": s.name, "value": scores[s.name][m]} for m in plotted for s in SYSTEMS]


def counted_facts(systems: Mapping[str, SystemAnswers]) -> dict[str, list[CountsByAttribute]]:
    """The facts in every system's answers, and in the references, which show how many of them a true text states."""
    tuned = systems[TUNED]
    counted = {name: answers.fact_counts for name, answers in systems.items()}
    return counted | {REFERENCE: count_facts(tuned.facts or [], tuned.references)}


def summarise_scores(scores: dict[str, Any]) -> str:
    """ROUGE-L and the facts stated, by system."""
    by_system = ", ".join(f"{system.name} {scores[system.name]['rougeL']:.1f}" for system in SYSTEMS)
    stated = ((system.name, scores[system.name]["facts_stated"]) for system in SYSTEMS)
    facts = ", ".join(f"{name} {share:.0f}%" for name, share in stated if share is not None)
    return f"ROUGE-L {by_system}" + (f"; facts stated: {facts}" if facts else "")


if __name__ == "__main__":
    run_stage(main)
