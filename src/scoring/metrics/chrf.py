"""chrF and chrF++ as a local module of `evaluate`: n-gram F-scores against the reference (Popovic 2015, 2017).

Scored by sacrebleu with its defaults: n-grams of up to 6 characters, recall counts twice as much as precision (chrF2);
chrF++ adds words and word pairs. The chrF of a record is kept under another name than that of the corpus, which is not
the mean of them.
"""

import datasets
import evaluate
import sacrebleu

COUNTS = 3  # an order of n-grams: those of the answer, of the reference, and in both


class Chrf(evaluate.Metric):
    """Corpus chrF and chrF++, the chrF of each record, 0 to 100, and the counts that they are computed from."""

    # Given a reference, whose number a signature tells.
    chrf, chrf_plus_plus = (sacrebleu.CHRF(word_order=order, references=[[""]]) for order in (0, 2))

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="chrF and chrF++, 0 to 100.",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, dict]:
        # The two steps of corpus_score and sentence_score, which would each count all n-grams anew: most of the time.
        # Those of characters come first, and are all that chrF counts.
        counts = self.chrf_plus_plus._extract_corpus_statistics(predictions, [references])
        characters = [row[: COUNTS * self.chrf.order] for row in counts]
        scored = {"chrf": (self.chrf, characters), "chrf_plus_plus": (self.chrf_plus_plus, counts)}
        return {
            "corpus": {name: scorer._aggregate_and_compute(rows).score for name, (scorer, rows) in scored.items()},
            "records": {"chrf_sentence": [self.chrf._compute_score_from_stats(row).score for row in characters]},
            "counts": {name: rows for name, (_, rows) in scored.items()},
            "signatures": {name: str(scorer.get_signature()) for name, (scorer, _) in scored.items()},
        }
