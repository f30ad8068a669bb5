"""Several machines that train together: which one this is, and that all are there and agree before they start.

Covers `--num_machines` of train.launcher. Machine 0 runs `dvc repro` and writes the results; each other one runs
`python -m src.stages.train` and writes none. Which one this is stands in the environment: a parameter would differ
between them. Nothing here changes a result, so no stage of dvc.yaml reruns when it does.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from src.models.processes import LAUNCHED, launcher_world_size
from src.params import Params
from src.progress import print_line
from src.training.checkpoints import CHECKPOINTS, newest_checkpoint, training_fingerprint
from src.training.choices import current_device, settle_params
from src.training.refusals import (
    machines_that_did_not_come,
    machines_that_differ,
    no_stage_of_dvc,
    unknown_machine,
    unreachable_machine,
)

if TYPE_CHECKING:
    from torch.distributed import TCPStore

# Ours, then what SkyPilot sets on each node: a number from 0, and addresses a line each, that of machine 0 first.
RANKS, ADDRESSES = ("MACHINE_RANK", "SKYPILOT_NODE_RANK"), ("MAIN_PROCESS_IP", "SKYPILOT_NODE_IPS")
PORT, DEFAULT_PORT = "MAIN_PROCESS_PORT", "29500"  # accelerate's
WAIT, DEFAULT_WAIT = "MACHINES_WAIT_SECONDS", "600"  # for the others, whose earlier stages may take longer


@dataclass(frozen=True)
class Machine:
    """One of several machines."""

    rank: int
    count: int
    address: str
    """Of machine 0, where all meet."""
    port: int
    wait: int
    """Seconds."""


def launcher_here(params: Params) -> str:
    """The launcher's command for this machine, once all machines are there and agree.

    Args:
        params: the parameters of training.

    Raises:
        UserError: if they are not, or if this machine does not know which one it is.
    """
    launcher = params.train.launcher
    count = machine_count(launcher)
    met_already = {"LOCAL_RANK", LAUNCHED} & os.environ.keys()  # by the process that started this one
    if count == 1 or met_already:
        return launcher
    here = this_machine(launcher, count, os.environ)
    if here.rank > 0 and "DVC_STAGE" in os.environ:
        raise no_stage_of_dvc(here.rank)
    meet(here, {"training": name_of_training(params), "checkpoints": checkpoints_here(params)})
    where = f"--main_process_ip {here.address} --main_process_port {here.port}"
    return f"{launcher.removesuffix(' -m')} --machine_rank {here.rank} {where} -m"


def machine_count(launcher: str) -> int:
    """The number of machines that a launcher's command names; 1 where it names none."""
    return int(launcher_value(launcher, "num_machines") or 1)


def launcher_value(launcher: str, option: str) -> str:
    """What a launcher's command gives an option; nothing where it lacks it.

    Args:
        launcher: train.launcher.
        option: its name, with underscores.
    """
    found = re.search(rf"--{option.replace('_', '[_-]')}[= ](\S+)", launcher)
    return found[1] if found else ""


def this_machine(launcher: str, count: int, environment: Mapping[str, str]) -> Machine:
    """Which machine this is.

    Args:
        launcher: train.launcher.
        count: of the machines.
        environment: the variables named above.

    Raises:
        UserError: if it does not tell.
    """
    rank, address = (
        next((environment[name] for name in names if environment.get(name)), "") for names in (RANKS, ADDRESSES)
    )
    port = environment.get(PORT) or launcher_value(launcher, "main_process_port") or DEFAULT_PORT
    wait = environment.get(WAIT) or DEFAULT_WAIT
    if not address or not (rank.isdigit() and port.isdigit() and wait.isdigit()) or int(rank) >= count:
        raise unknown_machine(launcher, count)
    return Machine(int(rank), count, address.split()[0], int(port), int(wait))


def name_of_training(params: Params) -> str:
    """The name of what this machine would train: its parameters, data and code, and what its device chose."""
    settled, _ = settle_params(params, current_device())
    return training_fingerprint(settled, launcher_world_size(params.train.launcher), sharded=False)


def checkpoints_here(params: Params) -> list[str]:
    """What this machine would go on from: rounds that are done, and the newest complete checkpoint of each other."""
    settled, _ = settle_params(params, current_device())
    size = launcher_world_size(params.train.launcher)
    folders = [CHECKPOINTS / training_fingerprint(settled, size, sharded) for sharded in (False, True)]
    rounds = [path for folder in folders for path in sorted(folder.glob("round-*"))]
    kept = [newest_checkpoint(path) if path.name.endswith("-steps") else path for path in rounds]
    return [path.relative_to(CHECKPOINTS).as_posix() for path in kept if path]


def meet(here: Machine, told: dict[str, Any]) -> None:
    """Waits for all machines, and compares what each tells.

    Args:
        here: this machine.
        told: what has to be equal on all.

    Raises:
        UserError: if one does not come in time, or tells something else.
    """
    from torch.distributed import DistError, TCPStore

    print_line(f"Machine {here.rank} of {here.count} meets the others at {here.address}:{here.port}.")
    wait = timedelta(seconds=here.wait)
    try:
        store = TCPStore(
            here.address, here.port, is_master=here.rank == 0, timeout=wait, wait_for_workers=False, use_libuv=False
        )
    except DistError as error:
        raise unreachable_machine(here.address, here.port, here.wait, error) from None
    heard = exchange(store, here, "told", json.dumps(told), wait)
    differing = [name for name in told if len({json.dumps(json.loads(one)[name]) for one in heard}) > 1]
    exchange(store, here, "read", "", wait)  # machine 0 holds the store, and goes last
    if differing:
        raise machines_that_differ(differing[0], here.rank)


def exchange(store: "TCPStore", here: Machine, name: str, value: str, wait: timedelta) -> list[str]:
    """What all machines tell under a name, by rank.

    Args:
        store: between them.
        here: this machine.
        name: of what is told.
        value: what this machine tells.
        wait: for the others, at most.

    Raises:
        UserError: if one has not told it by then.
    """
    from torch.distributed import DistError

    store.set(f"{name}-{here.rank}", value)
    keys = [f"{name}-{rank}" for rank in range(here.count)]
    try:
        store.wait(keys, wait)
    except (DistError, RuntimeError):
        missing = [rank for rank, key in enumerate(keys) if not store.check([key])]
        raise machines_that_did_not_come(missing, here.wait) from None
    return [store.get(key).decode() for key in keys]
