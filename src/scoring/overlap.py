"""BLEU, chrF and ROUGE of answers against their references, through local modules of the `evaluate` library.

Covers loading the modules in src/scoring/metrics/ without a network or a trace on the disk, and running them. The
modules know how each score is computed.

`evaluate` looks for imports in a module's text with an expression that fails where there is none: each module has one.
"""

import functools
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from src.scoring.intervals import Floats, RecordSums, mean_of
from src.scoring.summed_counts import bleu_of_counts, chrf_of_counts

if TYPE_CHECKING:
    from evaluate import Metric

MODULES = Path(__file__).parent / "metrics"
NAMES = ("bleu", "chrf", "rouge")
FROM_COUNTS: dict[str, Callable[[Floats], Floats]] = {
    "bleu": bleu_of_counts,
    "chrf": chrf_of_counts,
    "chrf_plus_plus": chrf_of_counts,
}


@dataclass(frozen=True, eq=False)
class OverlapScores:
    """The overlap of one system's answers with their references.

    Attributes:
        corpus: bleu, chrf, chrf_plus_plus, rouge1, rouge2 and rougeL of all answers together, 0 to 100.
        sums: what a score of the corpus is computed from, for bootstrapping: all of `corpus`, and chrf_sentence, the
            mean of chrF over records, which is another number than the chrF of the corpus.
        signatures: the library's version and options by the score's name, which make it repeatable elsewhere.
    """

    corpus: dict[str, float]
    sums: dict[str, RecordSums]
    signatures: dict[str, str]


def overlap_scores(answers: Sequence[str], references: Sequence[str]) -> OverlapScores:
    """How much of each reference its answer holds.

    Args:
        answers: one system's; an empty one scores 0.
        references: as many, at least one.
    """
    corpus: dict[str, float] = {}
    sums: dict[str, RecordSums] = {}
    signatures: dict[str, str] = {}
    for module in load_modules():
        scored = module.compute(predictions=answers, references=references)
        corpus |= scored["corpus"]
        signatures |= scored["signatures"]
        sums |= {name: mean_of(values) for name, values in scored["records"].items()}
        sums |= {name: corpus_sums(name, counts) for name, counts in scored["counts"].items()}
    return OverlapScores(corpus, sums, signatures)


def corpus_sums(name: str, counts: Sequence[Sequence[int]]) -> RecordSums:
    """A corpus score of sacrebleu as a function of summed counts.

    Args:
        name: a key of FROM_COUNTS.
        counts: matches, n-grams and lengths of each record, as sacrebleu orders them.
    """
    return RecordSums(np.array(counts, dtype=float).T, FROM_COUNTS[name])


@functools.cache
def load_modules() -> tuple["Metric", ...]:
    """The metric modules, loaded once.

    `evaluate` imports a copy of each module. The copies lie in a temporary folder and go with it, so that nothing is
    left in the user's home and an old copy never answers for a new module.
    """
    evaluate = import_evaluate()
    with tempfile.TemporaryDirectory() as cache:
        evaluate.config.HF_MODULES_CACHE = cache
        paths = [str(MODULES / f"{name}.py") for name in NAMES]
        return tuple(evaluate.load(path, cache_dir=cache, keep_in_memory=True) for path in paths)


def import_evaluate() -> ModuleType:
    """The `evaluate` library without its evaluators, which no score needs.

    They import transformers, and that torch, for most of the stage's time. `evaluate` does without where transformers
    cannot be imported, which is what None in its place means.
    """
    sys.modules.setdefault("transformers", None)  # type: ignore[arg-type]
    try:
        import evaluate
    finally:
        if sys.modules["transformers"] is None:
            del sys.modules["transformers"]
    return evaluate
