"""ROUGE as a local module of `evaluate`: F-scores of shared words, word pairs and the longest common subsequence.

Scored by rouge-score (Lin 2004), words in lower case and without stemming: its stemmer would be English only. Words
are runs of a to z and digits, so a text without any of them scores 0.
"""

import datasets
import evaluate
from rouge_score import rouge_scorer

TYPES = ["rouge1", "rouge2", "rougeL"]


class Rouge(evaluate.Metric):
    """ROUGE-1, ROUGE-2 and ROUGE-L of each record and their means, 0 to 100."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="ROUGE F-scores, 0 to 100.",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, dict]:
        scorer = rouge_scorer.RougeScorer(TYPES, use_stemmer=False)
        scores = [scorer.score(*pair) for pair in zip(references, predictions, strict=True)]
        records = {name: [100 * score[name].fmeasure for score in scores] for name in TYPES}
        corpus = {name: sum(values) / len(values) for name, values in records.items()}
        return {"corpus": corpus, "records": records, "counts": {}}
