"""Starts a stage: its parameters, its errors, its duration, the line that it ends with.

Covers what every stage needs around its `main`. Does not know what a stage does.
"""

import argparse
import inspect
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from src import numerics, params
from src.certificate.environment import record_environment
from src.errors import DamagedFileError, UserError, is_damaged_weights, is_out_of_memory
from src.files import read_json, write_json
from src.progress import describe_seconds, library_settings

RUNTIME = Path("runtime.json")
LOCK = Path("dvc.lock")

# A GPU's memory in segments that grow: between fixed ones, rows of various lengths leave gaps that stay reserved.
GROWING_SEGMENTS = "expandable_segments:True"

# Misses a kernel for CPUs with AVX512-BF16 that models/loading.py keeps from being used.
NOISY_LOGGER = "bitsandbytes.backends.cpu.ops"


@dataclass(frozen=True)
class Outcome:
    """What came out of a stage, beside its files.

    Attributes:
        line: the figures that tell it, for the line that the stage ends with; the runner adds its name and duration.
        measured: what differs between two identical runs, such as tokens a second, for runtime.json.
    """

    line: str
    measured: dict[str, Any] = field(default_factory=dict)


def run_stage(
    main: Callable[..., Outcome],
    variants: Sequence[str] = (),
    show: Callable[[params.Params, int], None] | None = None,
    launch: Callable[[params.Params], None] | None = None,
) -> None:
    """Runs a stage as a process.

    Args:
        main: the stage, called with its parameters, and with the variant where it has variants.
        variants: what the command line has to name one of.
        show: called in place of `main` with the parameters and COUNT, where the command line has --show COUNT.
        launch: called before `main`; may put other processes in this one's place.
    """
    arguments = parse_arguments(main, variants, show is not None)
    prepare_process()
    start = time.perf_counter()
    with explained_errors(arguments.stage):
        given = params.params_for_stage(arguments.stage)
        if show and arguments.show:
            show(given, arguments.show)
            return
        if launch:
            launch(given)
        variant = [arguments.variant] if variants else []
        outcome = main(given, *variant)
        name, seconds = "@".join([arguments.stage, *variant]), time.perf_counter() - start
        record_runtime(name, seconds, outcome.measured)
        record_environment(
            name, [out.replace("${key}", "".join(variant)) for out in params.stage_outputs(arguments.stage)]
        )
        print(f"{name}: {outcome.line} ({describe_seconds(seconds)})")


def parse_arguments(main: Callable[..., Any], variants: Sequence[str], shows: bool) -> argparse.Namespace:
    """Reads the command line.

    Args:
        main: the stage: its module's name and docstring are the command's.
        variants: what the command line has to name one of.
        shows: whether it may ask for examples.

    Returns:
        `stage`, and where they are there `variant` and `show`.
    """
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
    return parser.parse_args(namespace=argparse.Namespace(stage=stage, show=0))


def prepare_process() -> None:
    """Sets what libraries read when they are imported: no reports to makers, no bars in logs, one GPU, equal floats."""
    os.environ.update(library_settings())
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    if "LOCAL_RANK" not in os.environ:  # training on several needs a launcher, which gives each process its own
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    if "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:  # the older name, which would be overruled
        os.environ.setdefault("PYTORCH_ALLOC_CONF", GROWING_SEGMENTS)
    logging.getLogger(NOISY_LOGGER).setLevel(logging.ERROR)
    numerics.fix_cpu()


@contextmanager
def explained_errors(stage: str) -> Iterator[None]:
    """Ends the process with one sentence and exit status 1 where something failed that a user can fix."""
    try:
        yield
    except UserError as error:
        stop(stage, str(error))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        stop(
            stage,
            "the memory is full: lower train.batch_size and raise train.accumulation as much, or lower "
            "train.max_length or generate.batch_size.",
        )
    except OSError as error:
        stop(stage, f"{error.filename}: {error.strerror}." if error.filename else str(error))
    except Exception as error:
        if not is_damaged_weights(error):
            raise
        stop(stage, str(DamagedFileError("a file of weights", error)))
    except KeyboardInterrupt:
        stop(stage, "interrupted: `dvc repro` goes on from here.")


def stop(stage: str, reason: str) -> NoReturn:
    """Ends the process with a sentence, and where DVC has removed earlier results, with how they come back.

    Args:
        stage: its name.
        reason: what failed and what to change.
    """
    restore = (
        "\nDVC's cache keeps the last results: `make restore` brings them back, and where you set back what you "
        "changed, `dvc repro` does without a run."
    )
    sys.exit(f"{stage}: {reason}{restore if had_results() else ''}")


def had_results() -> bool:
    """Whether DVC runs this stage, not a user, and has locked results of an earlier run, which it has removed."""
    address = os.environ.get("DVC_STAGE")
    return bool(address) and LOCK.is_file() and f"\n  {address}:\n" in LOCK.read_text(encoding="utf-8")


def positive_integer(text: str) -> int:
    """A number of 1 or more on the command line."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def record_runtime(stage: str, seconds: float, measured: dict[str, Any]) -> None:
    """Adds a stage's entry to runtime.json; where that cannot be done, it says so and no more.

    The stage's results are written by now, and no duration is worth running it again.

    Args:
        stage: its name, with its variant.
        seconds: its duration; the peak memory, in MB, is added here.
        measured: what else it measured.
    """
    peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    entry = {"seconds": round(seconds, 1), "peak_memory_mb": round(peak_memory), **measured}
    try:
        write_json(RUNTIME, dict(sorted((earlier_durations() | {stage: entry}).items())))
    except (OSError, ValueError, TypeError) as error:  # a folder by that name, a full disk, a number that is NaN
        print(f"{stage}: its duration is not recorded in {RUNTIME} ({error}).", file=sys.stderr)


def earlier_durations() -> dict[str, Any]:
    """What runtime.json holds; nothing where it is missing or broken, such as by a merge conflict."""
    try:
        runtime = read_json(RUNTIME)
    except (OSError, ValueError, RecursionError):
        return {}
    return runtime if isinstance(runtime, dict) else {}
