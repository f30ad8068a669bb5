"""The four jobs of cleaning over shards, and the executors that run them one after the other.

Covers what depends on what, and the places between. What a task does is in steps.py. Imports datatrove.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupFilter

from src.cluster import steps
from src.cluster.bands import choose_bands
from src.params import Params

EXECUTORS = {"local": LocalPipelineExecutor, "slurm": SlurmPipelineExecutor, "ray": RayPipelineExecutor}
MEMORY_GB = 4  # a task: a batch of texts before and after each rule, and libraries


class Job(NamedTuple):
    """Tasks that need nothing of each other."""

    name: str
    pipeline: list[PipelineStep]
    tasks: int


def plan_jobs(shards: Sequence[str], output: Path, work: Path, params: Params) -> list[Job]:
    """The jobs, each of which needs all before it.

    Args:
        shards: the files to clean, one task each.
        output: the folder of clean shards.
        work: the folder for what lies between.
        params: the sections data and clean.
    """
    clean, policy = steps.CleanShard(shards, params), params.clean.duplicates
    if policy == "keep":
        return [Job("clean", [clean, steps.WriteShard(output)], len(shards))]
    rows, bands = choose_bands(params.clean.near_threshold) if policy == "near" else (1, 0)
    config = MinhashConfig(num_buckets=bands + 1, hashes_per_bucket=rows)
    cleaned, signatures, pairs, removed = (work / name for name in ("cleaned", "signatures", "pairs", "removed"))
    sign = steps.ProductSignature(signatures, config)
    keep = [steps.ReadShard(cleaned), MinhashDedupFilter(str(removed)), steps.WriteShard(output)]
    return [
        Job("clean", [clean, steps.WriteShard(cleaned), sign], len(shards)),
        Job("compare", [MinhashDedupBuckets(str(signatures), str(pairs), config=config)], bands + 1),
        Job("decide", [steps.KeepFirst(pairs, removed)], 1),
        Job("keep", keep, len(shards)),
    ]


def chain_jobs(jobs: Sequence[Job], executor: str, logs: Path, options: dict[str, Any]) -> Any:
    """The executor of the last job, which runs those before it first.

    Args:
        jobs: in their order.
        executor: one of EXECUTORS.
        logs: the folder where tasks note that they are done: a second run goes on from there.
        options: of the executor.
    """
    last = None
    for job in jobs:
        named = {"job_name": f"shelftalk-{job.name}"} if executor == "slurm" else {}
        last = EXECUTORS[executor](
            job.pipeline, tasks=job.tasks, logging_dir=str(logs / job.name), depends=last, **options, **named
        )
    return last


def executor_options(executor: str, workers: int, partition: str, time: str) -> dict[str, Any]:
    """What an executor is told beside its tasks.

    Args:
        executor: one of EXECUTORS.
        workers: tasks that run at once; -1 for all.
        partition: Slurm's, of the cluster.
        time: Slurm's limit for a task, as in 04:00:00.
    """
    if executor != "slurm":
        return {"workers": workers} | ({"mem_per_cpu_gb": MEMORY_GB} if executor == "ray" else {})
    # A job begins in the folder that it was submitted from.
    python = f"export PATH={Path(sys.executable).parent}:$PATH PYTHONPATH=$PWD:$PYTHONPATH"
    return {
        "workers": workers,
        "partition": partition,
        "time": time,
        "mem_per_cpu_gb": MEMORY_GB,
        "qos": "",
        "env_command": python,
    }
