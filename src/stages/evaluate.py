"""Scores the base model, the tuned model and the nearest-title baseline on the same held-out records.

Covers reading the generations and the training split and writing metrics/evaluate.json and plots/evaluate/scores.tsv.
What the scores mean stands in src/scoring/report.py.
"""

from pathlib import Path

import polars as pl

from src.files import write_json, write_tsv
from src.params import Params
from src.scoring.generations import check_paired, read_generations
from src.scoring.nearest import nearest_titles
from src.scoring.report import score_report
from src.stages.runner import run_stage

BASE, TUNED = Path("data/generations/base.jsonl"), Path("data/generations/tuned.jsonl")
TRAIN = Path("data/split/train.parquet")
METRICS, PLOT = Path("metrics/evaluate.json"), Path("plots/evaluate/scores.tsv")
SYSTEMS = ("base", "tuned", "nearest")
PLOTTED = ("bleu", "chrf", "rouge1", "rouge2", "rougeL")


def main(params: Params) -> None:
    """Compares base, tuned and nearest; reads no parameter."""
    base, tuned = read_generations(BASE), read_generations(TUNED)
    check_paired(base, tuned)

    train = pl.read_parquet(TRAIN, columns=["title", "content"])
    positions = nearest_titles([generation.title for generation in base], train["title"].to_list())
    descriptions = train["content"].to_list()
    scores = score_report(base, tuned, [descriptions[position] for position in positions], descriptions)

    write_json(METRICS, scores)
    write_tsv(PLOT, [{"metric": m, "system": s, "value": scores[s][m]} for m in PLOTTED for s in SYSTEMS])
    by_system = ", ".join(f"{system} {scores[system]['rougeL']:.1f}" for system in SYSTEMS)
    print(f"Scored {scores['records']} records: ROUGE-L {by_system}.")


if __name__ == "__main__":
    run_stage(main)
