"""Starts a stage: its parameters, its errors, its duration.

Covers what every stage needs around its `main`. Does not know what a stage does.
"""

import argparse
import inspect
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from src import numerics, params
from src.errors import UserError, is_out_of_memory
from src.files import read_json, write_json

RUNTIME = Path("metrics/runtime.json")

# Misses a kernel for CPUs with AVX512-BF16 that models/loading.py keeps from being used.
TALKATIVE = "bitsandbytes.backends.cpu.ops"


def run_stage(
    main: Callable[..., dict[str, Any] | None],
    variants: Sequence[str] = (),
    show: Callable[[params.Params, int], None] | None = None,
) -> None:
    """Runs a stage's `main(params)`, or `main(params, variant)` where the stage has variants, as a process.

    With --show COUNT on the command line, `show(params, COUNT)` runs in its place, which is no run of the stage.

    What `main` returns differs between two identical runs (tokens per second, say) and goes, with the duration and the
    peak memory, to metrics/runtime.json. A UserError ends the process with its sentence and exit status 1.
    """
    stage, variant, count = parse_arguments(main, variants, show is not None)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    if "LOCAL_RANK" not in os.environ:  # training on several needs a launcher, which gives each process its own
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    logging.getLogger(TALKATIVE).setLevel(logging.ERROR)
    numerics.fix_cpu()
    start = time.perf_counter()
    try:
        if show and count:
            show(params.params_for_stage(stage), count)
            return
        measured = main(params.params_for_stage(stage), *variant) or {}
    except UserError as error:
        sys.exit(f"{stage}: {error}")
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        sys.exit(
            f"{stage}: the memory is full: lower train.batch_size and raise train.accumulation as much, or lower "
            "train.max_length or generate.batch_size."
        )
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        sys.exit(f"{stage}: {reason}: the last good result is left as it was.")
    except KeyboardInterrupt:
        sys.exit(f"{stage}: interrupted: `dvc repro` goes on from here.")
    record_runtime("@".join([stage, *variant]), time.perf_counter() - start, measured)


def parse_arguments(main: Callable[..., Any], variants: Sequence[str], shows: bool) -> tuple[str, list[str], int]:
    """The stage's name, from its module's, the variant chosen on the command line, and how many examples to show."""
    module = inspect.getmodule(main)
    stage = Path(inspect.getfile(main)).stem
    parser = argparse.ArgumentParser(
        prog=f"python -m src.stages.{stage}",
        description=module.__doc__ if module else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if variants:
        parser.add_argument("variant", choices=variants)
    if shows:
        parser.add_argument("--show", type=positive_integer, metavar="COUNT", help="only print COUNT examples")
    chosen = vars(parser.parse_args())
    return stage, [chosen["variant"]] if variants else [], chosen.get("show") or 0


def positive_integer(text: str) -> int:
    """A number of 1 or more on the command line."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return int(text)


def record_runtime(stage: str, seconds: float, measured: dict[str, Any]) -> None:
    """Writes a stage's duration in seconds, its peak memory in MB and what else it measured to metrics/runtime.json."""
    runtime = read_json(RUNTIME) if RUNTIME.exists() else {}
    peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    runtime[stage] = {"seconds": round(seconds, 1), "peak_memory_mb": round(peak_memory), **measured}
    write_json(RUNTIME, dict(sorted(runtime.items())))
