"""Measures how fast each form of the exported model answers, alone and with many users at once, each in a process.

Covers llama.cpp, by the interface that everything which serves asks it through, and transformers' generate with the
adapter on the base, one prompt at a time and in batches. The prompts are the export's check titles; answers are greedy
and their ends are the model's own. Does not measure loading, and does not search.

    python -m benchmarks.serving_speed TASK.json RESULT.json    # one form
"""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.process_usage import measure_command, own_peak_mb
from src.errors import UserError
from src.export.forms import ADAPTER_GGUF, BASE_GGUF
from src.files import read_json, write_json
from src.inference.engine import Sampling
from src.inference.llama_cpp import LlamaCppEngine
from src.models.adapter import BASE_FILE
from src.prompts.rendering import Turns
from src.prompts.tokenizers import load_tokenizer
from src.serving.note import NAME, read_note

if TYPE_CHECKING:
    from src.inference.transformers_engine import TransformersEngine

USERS, SLOTS = 20, 4  # slots: as many as a ServedModel has where nothing else is asked for
MERGED = "shelftalk-*.gguf"  # every precision that the export holds, and the adapter
EMBEDDED = "embedded"
LLAMA_CPP, TRANSFORMERS = "llama.cpp", "transformers"
ONE_BY_ONE = f"{TRANSFORMERS}, one at a time"


@dataclass(frozen=True)
class Task:
    """What is measured.

    Args:
        engine: LLAMA_CPP or TRANSFORMERS.
        export: the export's folder, whose note tells the prompts.
        model: a GGUF file, or the base model's folder.
        adapter: likewise; None where there is none, or it is merged.
        scale: how much of llama.cpp's adapter counts.
        batch_size: prompts that transformers answers at once.
        rounds: questions that each user asks, one after the other.
        max_new_tokens: of an answer; None as the export's note has it.
    """

    engine: str
    export: str
    model: str
    adapter: str | None = None
    scale: float | None = None
    batch_size: int = 1
    rounds: int = 3
    max_new_tokens: int | None = None


class Asked(NamedTuple):
    """An answer's times: seconds until its first piece and its end, and its tokens."""

    first: float
    whole: float
    tokens: int


def measure_speed(project: Path, scratch: Path, rounds: int, max_new_tokens: int | None = None) -> dict[str, Any]:
    """What each form of an export gives.

    Args:
        project: with models/base, models/adapter and models/export.
        scratch: for files.
        rounds: questions that each user asks.
        max_new_tokens: of an answer; None as the export's note has it.
    """
    base, adapter, export = (str(project / "models" / name) for name in ("base", "adapter", "export"))
    one_by_one = Task(TRANSFORMERS, export, base, adapter, rounds=rounds, max_new_tokens=max_new_tokens)
    tasks = {ONE_BY_ONE: one_by_one, f"{TRANSFORMERS}, {USERS} at once": replace(one_by_one, batch_size=USERS)}
    for path in sorted(Path(export).glob(MERGED)):
        if path.name != ADAPTER_GGUF:
            tasks[path.name] = replace(one_by_one, engine=LLAMA_CPP, model=str(path), adapter=None)
    served, lora = str(Path(export) / BASE_GGUF), str(Path(export) / ADAPTER_GGUF)
    on_base = replace(one_by_one, engine=LLAMA_CPP, model=served, adapter=lora)
    for scale in (0.0, 1.0):
        tasks[f"{BASE_GGUF}, LoRA at scale {scale:.0f}"] = replace(on_base, scale=scale)
    return {name: measure_task(task, scratch) for name, task in tasks.items()}


def measure_shape(shape: str, folder: Path, rounds: int, max_new_tokens: int | None = None) -> dict[str, Any]:
    """What each form of the first run's export gives, or of one with random weights.

    Args:
        shape: EMBEDDED or a key of workload.SHAPES.
        folder: for what is made.
        rounds: questions that each user asks.
        max_new_tokens: of an answer; None as the export's note has it.

    Raises:
        UserError: if there is no export.
    """
    project, scratch = Path.cwd(), folder / "speed"
    scratch.mkdir(parents=True, exist_ok=True)
    if shape != EMBEDDED:
        from benchmarks.serving_random import make_random

        project = make_random(shape, scratch / shape)
    elif not (project / "models/export" / NAME).exists():
        raise UserError("models/export is missing: run `dvc repro export` first.")
    return measure_speed(project, scratch, rounds, max_new_tokens)


def measure_task(task: Task, folder: Path) -> dict[str, Any]:
    """Measures a form in a process of its own, whose peak memory is the form's.

    Args:
        task: what.
        folder: for the files that tell it, and what it tells.
    """
    told, found = folder / "task.json", folder / "result.json"
    write_json(told, asdict(task))
    measure_command(f"python -m benchmarks.serving_speed {told} {found}", Path.cwd())
    size = sum(path.stat().st_size for path in map(Path, filter(None, (task.model, task.adapter))) if path.is_file())
    return read_json(found) | {"file_mb": round(size / 1e6, 1)}


def main() -> None:
    """Measures the task in a file."""
    task = Task(**read_json(sys.argv[1]))
    note = read_note(Path(task.export))
    sampling = note.sampling._replace(temperature=0.0)
    if task.max_new_tokens:
        sampling = sampling._replace(max_new_tokens=task.max_new_tokens)
    prompts = [note.turns(title) for title in note.check_titles]
    measure = measure_llama_cpp if task.engine == LLAMA_CPP else measure_transformers
    alone, together = measure(task, prompts, sampling)
    write_json(Path(sys.argv[2]), {"peak_mb": own_peak_mb(), "alone": alone, "together": together})


def measure_llama_cpp(task: Task, prompts: list[Turns], sampling: Sampling) -> tuple[dict[str, Any], dict[str, Any]]:
    """One user's answers, and many users'.

    Args:
        task: the files.
        prompts: what is asked.
        sampling: how the answers are drawn.
    """
    engine = LlamaCppEngine(Path(task.model), Path(task.adapter) if task.adapter else None, SLOTS)
    if task.scale is not None:
        engine = engine.at_scale(task.scale)
    rendered = [engine.render_prompt(turns) for turns in prompts]
    ask = partial(ask_llama_cpp, engine, sampling)
    ask(rendered[0])  # the first answer is not measured
    alone = summarise_alone([ask(prompt) for prompt in rendered])
    return alone, ask_together(ask, rendered, task.rounds)


def ask_llama_cpp(engine: LlamaCppEngine, sampling: Sampling, prompt: str) -> Asked:
    """An answer in pieces, as every user gets it.

    Args:
        engine: the model.
        sampling: how the answer is drawn.
        prompt: rendered.
    """
    start, first, tokens = time.perf_counter(), None, 0
    for piece in engine.stream(prompt, sampling):
        first = first or time.perf_counter()
        tokens = piece.counted.answer if piece.counted else tokens
    end = time.perf_counter()
    return Asked((first or end) - start, end - start, tokens)


def ask_together(ask: Callable[[str], Asked], prompts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Has all users ask the same questions in the same order, each its next one once it has its answer.

    Args:
        ask: gives an answer.
        prompts: the questions.
        rounds: how many of them each user asks.
    """
    start_together = Barrier(USERS)

    def user(_number: int) -> list[Asked]:
        start_together.wait()
        return [ask(prompts[turn % len(prompts)]) for turn in range(rounds)]

    start = time.perf_counter()
    with ThreadPoolExecutor(USERS) as pool:
        users = list(pool.map(user, range(USERS)))
    return summarise_together(users, time.perf_counter() - start)


def measure_transformers(task: Task, prompts: list[Turns], sampling: Sampling) -> tuple[dict[str, Any], dict[str, Any]]:
    """One user's answers, and many users' in one queue, from which as many are answered at once as the task says.

    Args:
        task: the folders.
        prompts: what is asked.
        sampling: how the answers are drawn.
    """
    engine = load_transformers(task)
    answer, first_token = (
        partial(time_batch, engine, kind) for kind in (sampling, sampling._replace(max_new_tokens=1))
    )
    first_token(prompts[:1])  # the first answer is not measured
    # generate tells nothing before it is done: the first token is an answer of its own.
    alone = [Asked(first_token([prompt])[0], *answer([prompt])) for prompt in prompts]
    return summarise_alone(alone), answer_queue(answer, prompts, task)


def load_transformers(task: Task) -> "TransformersEngine":
    """The adapter on its base, as the generate stage loads them."""
    from src import numerics
    from src.inference.transformers_engine import TransformersEngine
    from src.models.loading import load_adapted

    numerics.fix_cpu()
    assert task.adapter
    adapter = Path(task.adapter)
    four_bit = read_json(adapter / BASE_FILE)["quantisation"] == "nf4"
    model = load_adapted(Path(task.model), adapter, four_bit)
    return TransformersEngine(model, load_tokenizer(adapter, "chat"), task.batch_size)


def time_batch(engine: "TransformersEngine", sampling: Sampling, batch: Sequence[Turns]) -> tuple[float, int]:
    """Seconds and tokens of some answers, those that end them counted.

    Args:
        engine: the model.
        sampling: how the answers are drawn.
        batch: what is asked.
    """
    start = time.perf_counter()
    answers = engine.answer_batch(list(enumerate(batch)), sampling)
    seconds = time.perf_counter() - start
    return seconds, sum(len(answer.token_ids) + (answer.finish_reason == "stop") for answer in answers)


def answer_queue(
    answer: Callable[[Sequence[Turns]], tuple[float, int]], prompts: list[Turns], task: Task
) -> dict[str, Any]:
    """Answers all users' questions in the order in which they are asked.

    Args:
        answer: gives the seconds and tokens of some answers.
        prompts: the questions.
        task: how many of them each user asks, and how many are answered at once.
    """
    users: list[list[Asked]] = [[] for _ in range(USERS)]
    now, since = 0.0, [0.0] * USERS
    for turn in range(task.rounds):
        for start in range(0, USERS, task.batch_size):
            batch = range(start, min(start + task.batch_size, USERS))
            seconds, tokens = answer([prompts[turn % len(prompts)]] * len(batch))
            now += seconds
            for number in batch:
                users[number].append(Asked(now - since[number], now - since[number], tokens // len(batch)))
                since[number] = now
    return summarise_together(users, now)


def summarise_alone(answers: Sequence[Asked]) -> dict[str, Any]:
    """One user's figures: tokens a second of whole answers, and the time to the first token."""
    seconds = sum(answer.whole for answer in answers)
    return {
        "answers": len(answers),
        "tokens_per_second": round(sum(answer.tokens for answer in answers) / seconds, 1),
        "first_token_ms": round(1000 * float(np.median([answer.first for answer in answers])), 1),
        "answer_s": round(float(np.median([answer.whole for answer in answers])), 3),
    }


def summarise_together(users: Sequence[Sequence[Asked]], seconds: float) -> dict[str, Any]:
    """Many users' figures.

    Args:
        users: each one's answers.
        seconds: from the first question to the last answer.
    """
    answers = [answer for user in users for answer in user]
    latencies = np.array([answer.whole for answer in answers])
    waited = [sum(answer.whole for answer in user) for user in users]
    return {
        "users": len(users),
        "answers": len(answers),
        "answers_an_hour": round(3600 * len(answers) / seconds),
        "tokens_per_second": round(sum(answer.tokens for answer in answers) / seconds, 1),
        "first_token_s": round(float(np.median([answer.first for answer in answers])), 2),
        "median_s": round(float(np.median(latencies)), 2),
        "p95_s": round(float(np.quantile(latencies, 0.95)), 2),
        "slowest_to_fastest_user": round(max(waited) / min(waited), 2),
    }


if __name__ == "__main__":
    main()
