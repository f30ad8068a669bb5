"""Measures how fast the generate stage's own code answers, in a process of its own.

Covers greedy answers in batches on a model with random weights, which hardly ever stops by itself, so that all answers
are about equally long. Does not measure loading.

    python -m benchmarks.generation_speed TASK.json RESULT.json
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
from src.prompts.tokenizers import load_tokenizer

WARM_UP_TOKENS = 4  # of each answer in a first batch, which is not measured


@dataclass(frozen=True)
class GenerationTask:
    """What to answer.

    Args:
        base: the model's folder.
        four_bit: whether it is loaded in 4 bits.
        records: prompts to answer.
        batch_size: generate.batch_size.
        max_new_tokens: generate.max_new_tokens.
    """

    base: str
    four_bit: bool
    records: int
    batch_size: int
    max_new_tokens: int


def main() -> None:
    """Measures the answers of a task."""
    task, target = GenerationTask(**read_json(sys.argv[1])), Path(sys.argv[2])
    numerics.fix_cpu()
    numerics.seed_everything(0)
    write_json(target, measure_generation(task))


def measure_generation(task: GenerationTask) -> dict[str, Any]:
    """Answers a second and tokens a second, after a first short batch."""
    from benchmarks.meter import memory_figures
    from src.inference.engine import Sampling
    from src.inference.transformers_engine import TransformersEngine
    from src.models.loading import load_adapted

    tokenizer = load_tokenizer(task.base, "chat")
    model = load_adapted(Path(task.base), None, task.four_bit)
    engine = TransformersEngine(model, tokenizer, task.batch_size)
    prompts = [record["prompt"] for record in workload.catalogue_prompts()[: task.records]]
    engine.answer(prompts[: task.batch_size], Sampling(WARM_UP_TOKENS))
    synchronize()
    start = time.perf_counter()
    answers = engine.answer(prompts, Sampling(task.max_new_tokens))
    seconds = time.perf_counter() - start
    tokens = sum(len(answer.token_ids) for answer in answers)
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
