"""Measures an evaluation's two long parts, each in a module of its own: answering held-out prompts, and scoring.

python -m benchmarks.evaluation                      # both
python -m benchmarks.evaluation --only generation    # one of them; the other's results stay
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from src.files import read_json, write_json

RESULTS = Path("benchmarks/results/evaluation.json")
PARTS = ("generation", "scoring")


def main() -> None:
    """Measures what is asked for, and keeps the rest of the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description="Times an evaluation.")
    parser.add_argument("--only", choices=PARTS, help="measure one part alone")
    only = parser.parse_args().only
    results = read_json(RESULTS) if RESULTS.exists() else {}
    for part in [only] if only else PARTS:
        results[part] = measure(part)()
        write_json(RESULTS, results)


def measure(part: str) -> Callable[[], dict[str, Any]]:
    """What measures a part: measure_PART of benchmarks/evaluation_PART.py, which loads what it measures."""
    function: Callable[[], dict[str, Any]] = getattr(import_module(f"benchmarks.evaluation_{part}"), f"measure_{part}")
    return function


if __name__ == "__main__":
    main()
