"""Scores the cleaning against the ground truth of data/sample: recall and precision of each rule and filter.

Reads, cleans, filters and deduplicates the synthetic sample as decompress and clean do, by the current parameters, in a
temporary folder. So the scores hold for any raw file, and no data stage depends on the ground truth.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from src.files import read_json, write_json
from src.params import CleanParams, Params
from src.records.clean_files import clean_texts, plan_duplicates
from src.records.ground_truth import CleaningScore, CleaningScorer
from src.records.parquet import parquet_writer
from src.records.raw import read_raw
from src.records.raw_filters import find_raw_drop_reasons
from src.records.rules import enabled_rules
from src.stages.runner import Outcome, run_stage

SAMPLE, GROUND_TRUTH = Path("data/sample/trn.json.gz"), Path("data/sample/ground_truth.json.gz")
METRICS, REPORT = "metrics/score_cleaning.json", "data/reports/score_cleaning.json"


def main(params: Params) -> Outcome:
    """Cleans the sample in a temporary folder, compares the outcome with the ground truth."""
    chosen = params.model_copy(update={"clean": without_unscored(params.clean)})
    ground_truth = read_json(GROUND_TRUTH)["records"]
    scorer = CleaningScorer(ground_truth, enabled_rules(chosen.clean))
    with TemporaryDirectory() as folder:
        clean_sample(Path(folder), chosen, scorer)
    scores = scorer.scores()
    lowest = lowest_scores(scores)
    write_json(REPORT, scores)
    write_json(METRICS, {f"lowest_{measure}": share for measure, (share, _) in lowest.items()})
    told = (f"lowest {measure} {share} ({name})" for measure, (share, name) in lowest.items())
    return Outcome(f"{len(scores)} rules and filters scored, {', '.join(told) or 'none with a flaw'}")


def without_unscored(clean: CleanParams) -> CleanParams:
    """The section with transliteration and the choice of a language off: the sample has nothing to score them by."""
    return clean.model_copy(update={"ascii": False, "language": "any"})


def clean_sample(folder: Path, params: Params, scorer: CleaningScorer) -> None:
    """Takes the sample through reading, cleaning, filters and deduplication.

    Args:
        folder: an empty folder for the files between.
        params: the sections data and clean.
        scorer: takes what becomes of the records.
    """
    records, candidates = folder / "records.parquet", folder / "candidates.parquet"
    with parquet_writer(records) as append:
        for block in read_raw(SAMPLE):
            append(block.records.filter(find_raw_drop_reasons(block.records, params).is_null()))
    index = clean_texts(records, candidates, params, scorer.add)
    scorer.add_duplicates(plan_duplicates(candidates, index, params.clean)["drop_reason"])


def lowest_scores(scores: dict[str, CleaningScore]) -> dict[str, tuple[float, str]]:
    """The lowest recall and the lowest precision, each with its rule or filter; none where nothing has one."""
    found = {
        measure: [(share, name) for name, score in scores.items() if (share := score[measure]) is not None]
        for measure in ("recall", "precision")
    }
    return {measure: min(shares) for measure, shares in found.items() if shares}


if __name__ == "__main__":
    run_stage(main)
