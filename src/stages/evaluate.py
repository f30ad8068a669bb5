"""Scores the base model, the tuned model and the baselines on the same held-out records.

Reads the models' answers in data/generations and, for the baselines, data/split/train.parquet; writes
metrics/evaluate.json and plots/evaluate. The systems are rows of src/scoring/systems.py, the scores rows of
src/scoring/scores.py.
"""

from pathlib import Path
from typing import Any

import polars as pl

from src.files import write_json, write_tsv
from src.params import Params
from src.scoring.generations import read_generations
from src.scoring.pairing import check_paired
from src.scoring.report import score_report
from src.scoring.scores import SCORES
from src.scoring.systems import SYSTEMS, TrainingRecords, system_answers
from src.stages.runner import run_stage

GENERATIONS, TRAIN = Path("data/generations"), Path("data/split/train.parquet")


def main(params: Params) -> None:
    """Compares all systems; reads no parameter."""
    models = [system.name for system in SYSTEMS if not system.baseline]
    generations = {name: read_generations(GENERATIONS / f"{name}.jsonl") for name in models}
    check_paired(generations)
    train = pl.read_parquet(TRAIN, columns=["title", "content"])
    training = TrainingRecords(train["title"].to_list(), train["content"].to_list())

    scores = score_report(system_answers(SYSTEMS, generations, training))

    write_json("metrics/evaluate.json", scores)
    write_tsv("plots/evaluate/scores.tsv", plot_rows(scores))
    by_system = ", ".join(f"{system.name} {scores[system.name]['rougeL']:.1f}" for system in SYSTEMS)
    print(f"Scored {scores['records']} records: ROUGE-L {by_system}.")


def plot_rows(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """The plotted scores of each system, one a row."""
    plotted = [score.name for score in SCORES if score.plotted]
    return [{"metric": m, "system": s.name, "value": scores[s.name][m]} for m in plotted for s in SYSTEMS]


if __name__ == "__main__":
    run_stage(main)
