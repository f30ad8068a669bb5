"""Scores the base model, the tuned model, exported ones, endpoints and the baselines on the same held-out records.

Reads the models' answers in data/generations and its folders, for the baselines data/split/train.parquet, the topics
in data/split/test.parquet, what is known of the sample's products, and the verdicts of a judge; writes
data/reports/evaluate.json with all scores, differences and slices, metrics/evaluate.json with those that a reviewer
decides by, and data/tables/evaluate: scores, differences, slices, the first answers as they are, so that a reviewer
can read some, and the page that shows all of it. The systems are rows of src/scoring/systems.py and the files that it
finds, the scores rows of src/scoring/scores.py, and the slices follow rows of src/scoring/slices.py.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from src.files import atomic_file, read_json, write_json, write_tsv
from src.inference.bertscore import Encoder, bert_scores
from src.params import Params
from src.records.parquet import TEXTS, read_batches
from src.scoring.fact_counts import REFERENCE, CountsByAttribute, count_facts, fact_rows
from src.scoring.facts import facts_of_records
from src.scoring.generations import Generation, read_generations
from src.scoring.judgements import read_judgements
from src.scoring.pairing import check_paired, records_digest
from src.scoring.preferences import judge_report
from src.scoring.report import headline_scores, plotted_scores, score_report
from src.scoring.report_page import render_report_page
from src.scoring.scores import SCORES, Score, SystemAnswers
from src.scoring.slices import describe_paradoxes, plotted_slices, record_traits, slice_report
from src.scoring.systems import SYSTEMS, TUNED, TrainingRecords, generation_files, system_answers
from src.scoring.verdicts import describe_verdicts, plotted_differences
from src.stages.runner import Outcome, run_stage

GENERATIONS = Path("data/generations")
TRAIN, TEST = Path("data/split/train.parquet"), Path("data/split/test.parquet")
FACTS = Path("data/sample/facts.json.gz")  # read whatever data.raw is: see facts_of_records
JUDGEMENTS = "data/judgements.json"
METRICS, REPORT, TABLES = "metrics/evaluate.json", "data/reports/evaluate.json", "data/tables/evaluate"
NO_ENCODER = "models/none"  # evaluate.bertscore, where BERTScore is off
HEADLINE = [system.name for system in SYSTEMS if system.headline]
EXAMPLES = 10  # the first records, so that nobody picks them
TEST_RECORDS = "test_records"  # the metric that tells which records the scores are of


def main(params: Params) -> Outcome:
    """Compares all systems."""
    files = generation_files(GENERATIONS, SYSTEMS)
    generations = {system.name: read_generations(path) for system, path in files.items()}
    check_paired(generations)
    train = pl.concat(read_batches(TRAIN, TEXTS))
    training = TrainingRecords(train["title"].to_list(), train["content"].to_list())

    facts = facts_of_records(generations[TUNED], read_json(FACTS), training.contents)
    compared = [*SYSTEMS, *(system for system in files if system not in SYSTEMS)]
    systems = system_answers(compared, generations, training, facts)
    encoder = Encoder(Path(params.evaluate.bertscore)) if params.evaluate.bertscore != NO_ENCODER else None
    if encoder:
        systems = with_bert_scores(systems, encoder)

    traits = record_traits(generations[TUNED], read_topics(), training.titles, systems[TUNED])
    report = score_report(systems) | slice_report(systems, traits)
    if encoder:
        report["signatures"]["bertscore"] = encoder.signature
    if judgements := read_judgements(JUDGEMENTS):
        report["judge"] = judge_report(judgements)
    digest = records_digest(generations[TUNED])

    write_json(REPORT, report)
    write_json(METRICS, headline_scores(report, HEADLINE) | {TEST_RECORDS: digest})
    write_tables(report, systems, generations)
    write_page(render_report_page(report, systems, generations[TUNED], compared))
    told = "; ".join(describe_score(score, report) for score in SCORES if score.headline)
    verdicts = describe_verdicts(report) + describe_paradoxes(report["paradoxes"])
    return Outcome(f"{told}; {verdicts}; {report['records']:,} records{describe_comparison(digest)}")


def write_tables(
    report: Mapping[str, Any],
    systems: Mapping[str, SystemAnswers],
    generations: Mapping[str, Sequence[Generation]],
) -> None:
    """Writes what DVC draws.

    Args:
        report: what data/reports/evaluate.json holds.
        systems: every system's answers, by its name.
        generations: of every model by its name.
    """
    tables = {
        "scores": plotted_scores(report),
        "differences": plotted_differences(report),
        "slices": plotted_slices(report),
        "facts": fact_rows(counted_facts(systems)),
        "examples": list(example_rows(example_models(generations))),
    }
    for name, rows in tables.items():
        write_tsv(f"{TABLES}/{name}.tsv", rows)


def write_page(page: str) -> None:
    """Writes the page that shows all of it."""
    with atomic_file(f"{TABLES}/report.html") as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")


def read_topics() -> dict[str, str]:
    """The topic of each test record, by uid."""
    test = pl.concat(read_batches(TEST, ("uid", "topic")))
    return dict(zip(test["uid"], test["topic"], strict=True))


def with_bert_scores(systems: Mapping[str, SystemAnswers], encoder: Encoder) -> dict[str, SystemAnswers]:
    """The systems with BERTScore of every answer.

    Args:
        systems: by name, answers to the same records.
        encoder: what reads answers and references.
    """
    answers = {name: system.answers for name, system in systems.items()}
    scored = bert_scores(encoder, answers, systems[TUNED].references)
    return {name: replace(system, bert_scores=scored[name]) for name, system in systems.items()}


def describe_comparison(digest: str) -> str:
    """A warning where the last commit's scores are of other records; nothing where they are of the same, or missing."""
    if committed_test_records() in (None, digest):
        return ""
    return "; these are other test records than the last commit's, so do not compare the scores of the two"


def committed_test_records() -> str | None:
    """The digest of the test records that the last commit's scores are of, where there is one."""
    with suppress(OSError, ValueError):  # no git, no commit or no such file: nothing to compare with
        shown = subprocess.run(["git", "show", f"HEAD:./{METRICS}"], capture_output=True, text=True)
        return json.loads(shown.stdout).get(TEST_RECORDS)
    return None


def describe_score(score: Score, scores: Mapping[str, Any]) -> str:
    """A score in words, such as ROUGE-L base 13.9, tuned 30.0; a dash where it has no meaning.

    Args:
        score: a row of SCORES.
        scores: what data/reports/evaluate.json holds.
    """
    values = {name: scores[name][score.name] for name in HEADLINE}
    shown = (f"{name} {'–' if value is None else f'{value:.1f}'}" for name, value in values.items())
    return f"{score.label} {', '.join(shown)}"


def example_models(generations: Mapping[str, Sequence[Generation]]) -> dict[str, Sequence[Generation]]:
    """The models of the table: those that are found answer much like one of them, or are not the project's."""
    return {system.name: generations[system.name] for system in SYSTEMS if system.name in generations}


def example_rows(generations: Mapping[str, Sequence[Generation]]) -> Iterator[dict[str, Any]]:
    """Title, reference and every model's answer of the first records, a text a row, so that a change is a line.

    Args:
        generations: of every model by its name; paired.
    """
    first = (rows[:EXAMPLES] for rows in generations.values())
    for number, answers in enumerate(zip(*first, strict=True), start=1):
        texts = {"title": answers[0].title, "reference": answers[0].reference}
        texts |= {name: row.answer for name, row in zip(generations, answers, strict=True)}
        for source, text in texts.items():
            yield {"record": number, "source": source, "text": " ".join(text.split())}


def counted_facts(systems: Mapping[str, SystemAnswers]) -> dict[str, list[CountsByAttribute]]:
    """The facts in the answers to decide by, and in the references, which show how many of them a true text states."""
    tuned = systems[TUNED]
    counted = {name: systems[name].fact_counts for name in HEADLINE}
    return counted | {REFERENCE: count_facts(tuned.facts or [], tuned.references)}


if __name__ == "__main__":
    run_stage(main)
