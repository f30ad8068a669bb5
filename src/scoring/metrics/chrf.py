"""chrF as a local module of `evaluate`: character n-gram F-score against the reference (Popovic 2015).

Scored by sacrebleu with its defaults: n-grams up to 6, recall counts twice as much as precision (chrF2). The score of
a record is kept under another name than the corpus score, which is not the mean of them.
"""

import datasets
import evaluate
import sacrebleu


class Chrf(evaluate.Metric):
    """Corpus chrF, the chrF of each record, 0 to 100, and the counts of each record that they are computed from."""

    scorer = sacrebleu.CHRF()

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="chrF, 0 to 100.",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, dict]:
        # The two steps of corpus_score and sentence_score, which would each count all n-grams anew: most of the time.
        counts = self.scorer._extract_corpus_statistics(predictions, [references])
        records = [self.scorer._compute_score_from_stats(row).score for row in counts]
        corpus = self.scorer._aggregate_and_compute(counts).score
        return {"corpus": {"chrf": corpus}, "records": {"chrf_sentence": records}, "counts": {"chrf": counts}}
