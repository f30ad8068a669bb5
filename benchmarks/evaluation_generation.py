"""Measures how fast the generate stage answers on the CPU: prompt by prompt, and in batches of several kinds.

Covers greedy answers of the tuned model to the first run's test prompts, which `dvc repro` makes. Every way has to give
the answers of the first one.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from src import numerics
from src.files import read_jsonl
from src.inference.engine import Answer, Sampling
from src.inference.transformers_engine import TransformersEngine
from src.prompts.encoding import encode_prompt
from src.prompts.rendering import Prompt
from src.prompts.tokenizers import load_tokenizer

BASE, ADAPTER, PROMPTS = Path("models/base"), Path("models/adapter"), Path("data/prompts/test.jsonl")
RECORDS, BATCH_SIZE, MAX_NEW_TOKENS = 200, 50, 160  # as in params.yaml
ONE_BY_ONE, STAGE = "one by one", "by prompt length, finished answers leave (the stage)"

Order = Callable[[int], int]  # what prompts are sorted by, from their numbers


class Batches(NamedTuple):
    """A way to answer in batches.

    Args:
        size: prompts answered at once.
        order: what they are sorted by.
        leave: whether finished answers leave a batch; else transformers' own loop goes on with them.
    """

    size: int
    order: Order
    leave: bool = False


def measure_generation(records: int = RECORDS) -> dict[str, Any]:
    """Seconds that each way takes to answer the same prompts.

    Args:
        records: prompts that are answered.
    """
    from src.models.loading import load_adapted

    numerics.fix_cpu()
    numerics.seed_everything(0)
    tokenizer = load_tokenizer(ADAPTER, "chat")
    engine = TransformersEngine(load_adapted(BASE, ADAPTER, four_bit=True), tokenizer, BATCH_SIZE)
    prompts: list[Prompt] = [record["prompt"] for record in read_jsonl(PROMPTS)[:records]]
    engine.answer(prompts[:4], Sampling(4))  # what is loaded by the first call

    expected, single = timed(lambda: answer_batches(engine, prompts, Batches(1, int)))
    ways = {ONE_BY_ONE: single | {"same_answers": len(expected)}}
    for name, way in batch_ways(engine, prompts, expected).items():
        answers, seconds = timed(partial(answer_batches, engine, prompts, way))
        ways[name] = seconds | {"same_answers": count_same(answers, expected)}
    tokens = [len(answer.token_ids) for answer in expected]
    return {"records": len(prompts), "tokens": sum(tokens), "longest": max(tokens), "ways": ways}


def batch_ways(engine: TransformersEngine, prompts: Sequence[Prompt], expected: Sequence[Answer]) -> dict[str, Batches]:
    """The ways to make up batches, by name.

    Args:
        engine: whose tokens a prompt's length is counted in.
        prompts: what is asked.
        expected: the answers, whose lengths nothing knows beforehand: the bound of what sorting by them could give.
    """
    asked = [len(encode_prompt(engine.tokenizer, prompt)) for prompt in prompts]
    answered = [len(answer.token_ids) for answer in expected]
    return {
        "in file order": Batches(BATCH_SIZE, int),
        "by prompt length": Batches(BATCH_SIZE, lambda number: -asked[number]),
        "by answer length, were it known": Batches(BATCH_SIZE, lambda number: -answered[number]),
        STAGE: Batches(BATCH_SIZE, lambda number: -asked[number], leave=True),
        "the same, twice as many at once": Batches(2 * BATCH_SIZE, lambda number: -asked[number], leave=True),
    }


def answer_batches(engine: TransformersEngine, prompts: Sequence[Prompt], way: Batches) -> list[Answer]:
    """An answer to each prompt, in their order.

    Args:
        engine: the model.
        prompts: what is asked.
        way: how they are batched.
    """
    numbers, answers = sorted(range(len(prompts)), key=way.order), dict[int, Answer]()
    with patch("src.inference.decoding.rows_can_leave", lambda model: way.leave):
        for start in range(0, len(numbers), way.size):
            batch = numbers[start : start + way.size]
            found = engine.answer_batch([(number, prompts[number]) for number in batch], Sampling(MAX_NEW_TOKENS))
            answers |= dict(zip(batch, found, strict=True))
    return [answers[number] for number in range(len(prompts))]


def timed(answer: Callable[[], list[Answer]]) -> tuple[list[Answer], dict[str, Any]]:
    """What a way answers, with its seconds by the clock, which other work adds to, and of the CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    answers = answer()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return answers, {"seconds": round(clock, 1), "cpu_seconds": round(cpu, 1)}


def count_same(answers: Sequence[Answer], expected: Sequence[Answer]) -> int:
    """How many answers are the expected ones, token by token."""
    return sum(left == right for left, right in zip(answers, expected, strict=True))


def render_generation(results: dict[str, Any]) -> str:
    """The ways beside each other, as Markdown.

    Args:
        results: what `measure_generation` gives.
    """
    rows = ["| way | seconds | of the CPU | answers a second | times one by one | same answers |"]
    rows.append(f"|---{'|---:' * 5}|")
    single = results["ways"][ONE_BY_ONE]["seconds"]
    for name, way in results["ways"].items():
        speed = f"{results['records'] / way['seconds']:.1f} | {single / way['seconds']:.1f}"
        rows.append(f"| {name} | {way['seconds']} | {way['cpu_seconds']} | {speed} | {way['same_answers']} |")
    return (
        f"{results['records']} prompts, {results['tokens']:,} tokens of answers, the longest {results['longest']}; "
        f"batches of {BATCH_SIZE}.\n\n" + "\n".join(rows)
    )
