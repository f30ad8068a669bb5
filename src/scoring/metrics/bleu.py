"""BLEU as a local module of `evaluate`: word n-gram precision against the reference (Papineni et al. 2002).

Scored by sacrebleu with its defaults (Post 2018): the 13a tokenizer, n-grams up to 4, exponential smoothing. Corpus
scores only: the mean of BLEU over sentences is another metric.
"""

import datasets
import evaluate
import sacrebleu


class Bleu(evaluate.Metric):
    """Corpus BLEU, 0 to 100, and the counts of each record that it is computed from."""

    scorer = sacrebleu.BLEU(force=True)  # no warning about answers that look tokenized

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Corpus BLEU, 0 to 100.",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, dict]:
        # The two steps of corpus_score, which keeps the counts to itself; sacrebleu's significance tests do the same.
        counts = self.scorer._extract_corpus_statistics(predictions, [references])
        corpus = self.scorer._aggregate_and_compute(counts).score
        signatures = {"bleu": str(self.scorer.get_signature())}
        return {"corpus": {"bleu": corpus}, "records": {}, "counts": {"bleu": counts}, "signatures": signatures}
