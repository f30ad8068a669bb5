"""Measures how fast the generate stage's own code answers, in a process of its own.

Covers greedy answers in batches on a model with random weights, which hardly ever stops by itself. Does not measure
loading.

    python -m benchmarks.generation_speed ENTRY.json RESULT.json
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import workload
from benchmarks.flops import synchronize
from src import numerics
from src.files import read_json, write_json
from src.prompts.encoding import load_tokenizer


@dataclass(frozen=True)
class Entry:
    """The model's folder, whether it is loaded in 4 bits, and the parameters of generate.*."""

    base: str
    four_bit: bool
    records: int
    batch_size: int
    max_new_tokens: int


def main() -> None:
    """Measures an entry."""
    entry, target = Entry(**read_json(sys.argv[1])), Path(sys.argv[2])
    numerics.fix_cpu()
    numerics.seed_everything(0)
    write_json(target, measure_generation(entry))


def measure_generation(entry: Entry) -> dict[str, Any]:
    """Answers a second and tokens a second, after a first short batch."""
    from benchmarks.meter import memory_figures
    from src.inference.transformers_engine import greedy_answers
    from src.models.loading import load_adapted

    tokenizer = load_tokenizer(entry.base, "chat")
    model = load_adapted(Path(entry.base), None, entry.four_bit)
    asked = workload.catalogue_prompts()[: entry.records]
    greedy_answers(model, tokenizer, asked[: entry.batch_size], 4, entry.batch_size)
    synchronize()
    start = time.perf_counter()
    answers = greedy_answers(model, tokenizer, asked, entry.max_new_tokens, entry.batch_size)
    seconds = time.perf_counter() - start
    tokens = sum(len(answer.tokens) for answer in answers)
    return {
        "answers": len(answers),
        "tokens": tokens,
        "seconds": round(seconds, 2),
        "answers_per_second": round(len(answers) / seconds, 2),
        "tokens_per_second": round(tokens / seconds, 1),
        **memory_figures(),
    }


if __name__ == "__main__":
    main()
