"""The noise floor: the same commit trained under several seeds, and how far its scores differ by nothing else.

An interval over records tells how the scores would differ on other records; it does not know that another seed gives
another model. Covers one DVC experiment for each seed, their spread in noise/noise.json, which is to be committed, and
the table that sets it beside the intervals. No stage reads or writes it.

    python -m src.noise run --seeds 1 2 3    # queue what is not there yet, run, write noise/noise.json, print the table
    python -m src.noise table                # the table again, from noise/noise.json and reports/evaluate.json
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.experiments import INTERRUPTED, run_experiments
from src.files import read_json, write_json
from src.params import read_yaml

NOISE, PARAMS = Path("noise/noise.json"), Path("params.yaml")
EVALUATE, TRAIN, REPORT = "metrics/evaluate.json", "metrics/train.json", Path("reports/evaluate.json")
LOSS, TEST_RECORDS = "validation_loss", "test_records"
TUNED = "tuned"
LARGEST_SEED = 2**32 - 1
NORMAL = 1.959964  # standard deviations of a normal distribution within which 95% lie, as half an interval's width
DIGITS = 6

Values = dict[str, float]  # by metric


def seed_number(text: str) -> int:
    """A seed on the command line.

    Raises:
        ArgumentTypeError: if train.seed cannot be set to it.
    """
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: write a whole number from 0 to {LARGEST_SEED}")
    return int(text)


def measure_noise(seeds: Sequence[int]) -> dict[str, Any]:
    """Trains under every seed that has not been run from this commit; what noise/noise.json holds.

    Args:
        seeds: values of train.seed.

    Raises:
        UserError: if there are fewer than two, an experiment fails, or the experiments scored other records.
    """
    seeds = list(dict.fromkeys(seeds))
    if len(seeds) < 2:
        raise UserError(f"SEEDS has {len(seeds)} seed: a spread needs two or more, as in `make noise SEEDS='1 2 3'`.")
    run_experiments({experiment_name(seed): [f"train.seed={seed}"] for seed in seeds})
    scored, trained = ([read_experiment(seed, path) for seed in seeds] for path in (EVALUATE, TRAIN))
    digests = {scores[TEST_RECORDS] for scores in scored}
    if len(digests) > 1:
        raise UserError(f"the experiments scored different test records ({', '.join(sorted(digests))}): run them anew.")
    values = [tuned_values(*pair) for pair in zip(scored, trained, strict=True)]
    origin = {"commit": git("rev-parse", "--short=8", "HEAD").strip(), "params": params_digest(read_yaml(PARAMS))}
    return {"seeds": seeds, **origin, TEST_RECORDS: digests.pop(), "metrics": spreads(values)}


def experiment_name(seed: int) -> str:
    """The name of a seed's experiment."""
    return f"seed-{seed}"


def read_experiment(seed: int, path: str) -> dict[str, Any]:
    """A metrics file of a seed's experiment, from the commit that DVC made of it.

    Args:
        seed: the experiment's.
        path: the file's.
    """
    head = git("rev-parse", "HEAD").strip()
    found: dict[str, Any] = json.loads(git("show", f"refs/exps/{head[:2]}/{head[2:]}/{experiment_name(seed)}:{path}"))
    return found


def git(*words: str) -> str:
    """The output of a git command, whose words follow `git`.

    Raises:
        UserError: with git's own sentence, if it fails.
    """
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"`git {' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout


def params_digest(params: Mapping[str, Any]) -> str:
    """Eight digits that change with any parameter but the seed of training.

    Args:
        params: what params.yaml holds.
    """
    train = {name: value for name, value in params["train"].items() if name != "seed"}
    text = json.dumps({**params, "train": train}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def tuned_values(scores: Mapping[str, Any], training: Mapping[str, Any]) -> Values:
    """What varies with the seed: the tuned model's headline scores and the validation loss.

    Args:
        scores: an experiment's metrics/evaluate.json; a score without a value is left out.
        training: its metrics/train.json.
    """
    found = {name: by_system[TUNED] for name, by_system in scores.items() if name != TEST_RECORDS}
    return {name: value for name, value in (found | {LOSS: training[LOSS]}).items() if value is not None}


def spreads(values: Sequence[Values]) -> dict[str, dict[str, Any]]:
    """The spread of each metric that every seed has.

    Args:
        values: of each seed, two or more.

    Returns:
        By metric its mean, its sd (standard deviation of a seed, with n - 1), low and high, the ends of its range, and
        its values in the order of the seeds.
    """
    common = [name for name in values[0] if all(name in each for each in values)]
    by_name = {name: [each[name] for each in values] for name in common}
    return {
        name: {
            "mean": round(statistics.fmean(found), DIGITS),
            "sd": round(statistics.stdev(found), DIGITS),
            "low": min(found),
            "high": max(found),
            "values": found,
        }
        for name, found in by_name.items()
    }


def table_lines(noise: Mapping[str, Any], report: Mapping[str, Any]) -> Iterator[str]:
    """The table: each metric's noise over records beside that over seeds, and which of the two is larger.

    Args:
        noise: what noise/noise.json holds.
        report: what reports/evaluate.json holds.
    """
    yield f"{'tuned model':24} {'mean':>9} {'± records':>10} {'sd seeds':>9} {'± seeds':>9} {'range over seeds':>21}"
    for name, spread in noise["metrics"].items():
        half = half_width(report, name)
        shown = "–" if half is None else f"{half:.4f}"
        ends = f"{spread['low']:.4f} to {spread['high']:.4f}"
        numbers = f"{shown:>10} {spread['sd']:9.4f} {NORMAL * spread['sd']:9.4f} {ends:>21}"
        yield f"{name:24} {spread['mean']:9.4f} {numbers}  {larger_noise(half, spread['sd'])}"
    seeds = ", ".join(map(str, noise["seeds"]))
    yield f"Seeds {seeds} of commit {noise['commit']}. ±: half a 95% interval, over other records, over other seeds."


def half_width(report: Mapping[str, Any], name: str) -> float | None:
    """Half the width of the interval over records of the tuned model's own score; None where it has none.

    Args:
        report: what reports/evaluate.json holds.
        name: the score's.
    """
    bounds = report["interval"][TUNED].get(name)
    return (bounds["high"] - bounds["low"]) / 2 if bounds else None


def larger_noise(half: float | None, deviation: float) -> str:
    """Which noise is the larger one, in words; intervals are compared, of a normal distribution over seeds.

    Args:
        half: half the width of the interval over records, where there is one.
        deviation: standard deviation over seeds.
    """
    if half is None:
        return ""
    if half == NORMAL * deviation:
        return "both are as large"
    return "records are the larger noise" if half > NORMAL * deviation else "seeds are the larger noise"


def staleness(noise: Mapping[str, Any]) -> str:
    """A warning where the parameters have changed since; else nothing.

    Args:
        noise: what noise/noise.json holds.
    """
    if noise["params"] == params_digest(read_yaml(PARAMS)):
        return ""
    return f"{NOISE} is of other parameters than {PARAMS}: `make noise` measures these."


def main() -> None:
    """The commands `run` and `table`."""
    parser = argparse.ArgumentParser(prog="python -m src.noise", description="Measures the noise of training.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="train under every seed, write noise/noise.json, print the table")
    run.add_argument("--seeds", nargs="+", type=seed_number, required=True, metavar="SEED")
    commands.add_parser("table", help="print the table")
    arguments = parser.parse_args()
    try:
        if arguments.command == "run":
            write_json(NOISE, measure_noise(arguments.seeds))
            print(f"{NOISE} has the spread: commit it.")
        noise = read_json(NOISE)
        print(*table_lines(noise, read_json(REPORT)), *filter(None, [staleness(noise)]), sep="\n")
    except FileNotFoundError as error:
        sys.exit(f"noise: {error.filename} is missing: `make noise` writes {NOISE}, and `make repro` the report.")
    except UserError as error:
        sys.exit(f"noise: {error}")
    except KeyboardInterrupt:
        sys.exit(f"noise: {INTERRUPTED}")


if __name__ == "__main__":
    main()
