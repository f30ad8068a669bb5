"""Cleans shards on one machine or many, by datatrove: the rules of params.yaml, duplicates over all shards removed.

python -m src.cluster shards/ data/raw/clean                    # on this machine
python -m src.cluster shards/ data/raw/clean --executor slurm --partition cpu
dvc exp run -S data.raw=data/raw/clean                          # what comes out is data.raw
"""

import argparse
import hashlib
import sys
from pathlib import Path

from src.cluster import refusals
from src.errors import UserError
from src.params import Params, load_params
from src.records.raw_files import list_shards


def main() -> None:
    """The command line."""
    arguments = parse_arguments()
    try:
        print(run_jobs(arguments))
    except UserError as error:
        sys.exit(f"cluster: {error}")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", type=Path, help="a folder of files that data.raw could be, one task each")
    parser.add_argument("output", type=Path, help="the folder of clean shards, on a disk that all machines share")
    parser.add_argument("--executor", choices=("local", "slurm", "ray"), default="local", help="(default: local)")
    parser.add_argument("--workers", type=int, default=-1, help="tasks at once (default: all)")
    parser.add_argument("--partition", default="", help="of the Slurm cluster")
    parser.add_argument("--time", default="04:00:00", help="Slurm's limit for a task (default: %(default)s)")
    return parser.parse_args()


def run_jobs(arguments: argparse.Namespace) -> str:
    """Runs the jobs, or submits them to Slurm; the line to print."""
    params, output = load_params(), arguments.output.absolute()
    shards = [str(path.absolute()) for path in list_shards(arguments.shards)]
    refusals.check_packages(arguments.executor)
    refusals.check_shards(shards, params, output)
    refusals.check_cluster(arguments.executor, arguments.partition)
    from src.cluster import pipeline

    work = output.with_name(f".{output.name}.{inputs_digest(shards, params)}")
    options = pipeline.executor_options(arguments.executor, arguments.workers, arguments.partition, arguments.time)
    jobs = pipeline.plan_jobs(shards, output, work, params)
    pipeline.chain_jobs(jobs, arguments.executor, work / "logs", options).run()
    done = "submitted" if arguments.executor == "slurm" else "done"
    return f"{len(jobs)} jobs over {len(shards)} shards {done}. Clean shards: {arguments.output}, the rest: {work}"


def inputs_digest(shards: list[str], params: Params) -> str:
    """Names the inputs, so that a second run goes on where the first one stopped, but not with other inputs."""
    files = [(shard, Path(shard).stat().st_size, Path(shard).stat().st_mtime_ns) for shard in shards]
    settings = params.data.model_dump_json(), params.clean.model_dump_json()
    return hashlib.sha256(repr((files, settings)).encode()).hexdigest()[:8]


if __name__ == "__main__":
    main()
