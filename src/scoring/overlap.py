"""BLEU, chrF and ROUGE of answers against their references, through local modules of the `evaluate` library.

Covers loading the modules in src/scoring/metrics/ without a network or a trace on the disk, and running them. The
modules know how each score is computed.

`evaluate` looks for imports in a module's text with an expression that fails where there is none: each module has one.
"""

import functools
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = Path(__file__).parent / "metrics"
NAMES = ("bleu", "chrf", "rouge")


@dataclass(frozen=True)
class OverlapScores:
    """Scores from 0 to 100: one a name for the whole corpus, and a list a name with one score a record."""

    corpus: dict[str, float]
    records: dict[str, list[float]]


def overlap_scores(answers: Sequence[str], references: Sequence[str]) -> OverlapScores:
    """How much of each reference its answer holds: bleu, chrf, rouge1, rouge2, rougeL; by record all but bleu.

    Both sequences have the same length, at least 1. An empty answer scores 0.
    """
    scored = [module.compute(predictions=answers, references=references) for module in load_modules()]
    corpus, records = ({name: score for part in scored for name, score in part[key].items()} for key in scored[0])
    return OverlapScores(corpus, records)


@functools.cache
def load_modules() -> tuple[Any, ...]:
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
