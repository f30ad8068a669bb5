"""ROUGE as a local module of `evaluate`: F-scores of shared words, word pairs and the longest common subsequence.

Scored by rouge-score (Lin 2004), words in lower case and without stemming: its stemmer would be English only. Words
are runs of a to z and digits, so a text without any of them scores 0. The longest common subsequence is rapidfuzz's,
which is as long as rouge-score's and found faster.
"""

import functools
from importlib.metadata import version

import datasets
import evaluate
from rapidfuzz.distance import LCSseq
from rouge_score import rouge_scorer, scoring, tokenizers

BY_NGRAMS = ["rouge1", "rouge2"]
# What rouge-score was asked for, in the form of sacrebleu's signatures, of which it has none.
SIGNATURE = f"nrefs:1|measure:f|aggregate:mean|stem:no|case:lc|tok:default|version:{version('rouge-score')}"


class TokenizerOnce(tokenizers.DefaultTokenizer):
    """The library's tokenizer, which reads a text once for all scores, and a reference once for some systems."""

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - there is one such object
    def tokenize(self, text: str) -> list[str]:
        """The words of a text."""
        return super().tokenize(text)


class Rouge(evaluate.Metric):
    """ROUGE-1, ROUGE-2 and ROUGE-L of each record and their means, 0 to 100."""

    tokenizer = TokenizerOnce(use_stemmer=False)
    scorer = rouge_scorer.RougeScorer(BY_NGRAMS, tokenizer=tokenizer)

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="ROUGE F-scores, 0 to 100.",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, dict]:
        scores = [self._score(*pair) for pair in zip(references, predictions, strict=True)]
        records = {name: [score[name] for score in scores] for name in scores[0]}
        return {
            "corpus": {name: sum(values) / len(values) for name, values in records.items()},
            "records": records,
            "counts": {},
            "signatures": dict.fromkeys(records, SIGNATURE),
        }

    def _score(self, reference: str, answer: str) -> dict[str, float]:
        by_ngrams = self.scorer.score(reference, answer)
        fmeasures = {name: by_ngrams[name].fmeasure for name in BY_NGRAMS}
        fmeasures["rougeL"] = self._subsequence_fmeasure(reference, answer)
        return {name: 100 * fmeasure for name, fmeasure in fmeasures.items()}

    def _subsequence_fmeasure(self, reference: str, answer: str) -> float:
        expected, given = self.tokenizer.tokenize(reference), self.tokenizer.tokenize(answer)
        common = LCSseq.similarity(expected, given)
        return scoring.fmeasure(common / len(given), common / len(expected)) if common else 0.0
