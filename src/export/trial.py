"""A form of GGUF run by llama.cpp in a process of its own: its answers, how fast they came, what memory that took.

Covers a process that loads nothing else, as one that serves does. The figures of a run are no result: they differ.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from src.inference.engine import Answer, Sampling
from src.inference.llama_cpp import LlamaCppEngine
from src.prompts.rendering import Turns

MEGABYTE = 10**6  # bytes


class Speed(NamedTuple):
    """What differs between two runs."""

    tokens_per_second: float
    """Of answers, one after the other."""
    memory_mb: float
    """Of the process, with the form loaded and after its answers."""


def try_form(files: Sequence[Path], turns: Sequence[Turns], sampling: Sampling) -> tuple[list[Answer], Speed]:
    """The answers of a form, and how it ran.

    Args:
        files: a GGUF, and an adapter for it where there is one.
        turns: what is asked.
        sampling: how the answers are drawn.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(answer_and_measure, files, turns, sampling).result()


def answer_and_measure(files: Sequence[Path], turns: Sequence[Turns], sampling: Sampling) -> tuple[list[Answer], Speed]:
    """What `try_form` gives, in the process that it starts; arguments as of that one."""
    import psutil

    engine, start = load_form(files), time.perf_counter()
    answers = engine.answer(turns, sampling)
    seconds = time.perf_counter() - start
    memory = psutil.Process().memory_info().rss / MEGABYTE  # its peak would count the process that started it
    tokens = sum(len(answer.token_ids) for answer in answers)
    return answers, Speed(round(tokens / seconds, 1), round(memory, 1))


def load_form(files: Sequence[Path]) -> LlamaCppEngine:
    """A GGUF in llama.cpp, and the adapter for it where there is one, in their order."""
    return LlamaCppEngine(files[0], files[1] if len(files) > 1 else None)
