"""chrF as a local module of `evaluate`: character n-gram F-score against the reference (Popovic 2015).

Scored by sacrebleu with its defaults: n-grams up to 6, recall counts twice as much as precision (chrF2). The score of
a record is kept under another name than the corpus score, which is not the mean of them.
"""

import datasets
import evaluate
import sacrebleu


class Chrf(evaluate.Metric):
    """Corpus chrF and the chrF of each record, 0 to 100."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="chrF, 0 to 100.",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, dict]:
        scorer = sacrebleu.CHRF()
        records = [
            scorer.sentence_score(prediction, [reference]).score
            for prediction, reference in zip(predictions, references, strict=True)
        ]
        corpus = scorer.corpus_score(predictions, [references]).score
        return {"corpus": {"chrf": corpus}, "records": {"chrf_sentence": records}}
