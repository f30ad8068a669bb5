"""What SkyPilot makes of a task without a cloud: it parses it, finds GPUs in a catalogue, and stops before renting one.

Runs in SkyPilot's environment, which tests/cloud/test_task.py starts it in with a HOME of its own:

    python dry_run.py cloud/sky.yaml 24GB+
"""

import json
import sys

import sky
import yaml
from sky import execution, global_user_state
from sky.check import _get_workspace_allowed_clouds
from sky.clouds import CloudCapability
from sky.optimizer import Optimizer

CLOUDS, WORKSPACE = ["runpod", "lambda"], "default"
GIVEN = {"REPOSITORY": "https://host/you/shelftalk.git", "EXPERIMENTS": "-S train.lr=3e-5", "BUCKET": "our-checkpoints"}
SECRET = [("GIT_TOKEN", "planted-secret")]


def enable_clouds() -> None:
    """As `sky check` does where it finds keys."""
    for capability in CloudCapability:
        global_user_state.set_enabled_clouds(CLOUDS, capability, WORKSPACE)
    global_user_state.set_allowed_clouds(_get_workspace_allowed_clouds(WORKSPACE), WORKSPACE)


def read_task(path: str, gpus: str) -> sky.Task:
    """A task as `sky launch --env ... --secret ... --gpus ...` hands it to SkyPilot's server."""
    with open(path, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    given = [(name, value) for name, value in GIVEN.items() if name in config["envs"]]
    task = sky.Task.from_yaml_config(config, env_overrides=given, secrets_overrides=SECRET)
    task.set_resources_override({"accelerators": gpus})
    return sky.Task.from_yaml_config(task.to_yaml_config())


def main() -> None:
    """Prints what the task is, and what SkyPilot would rent."""
    path, gpus = sys.argv[1:]
    enable_clouds()
    task = read_task(path, gpus)
    with sky.Dag() as dag:
        dag.add(task)
    if any(resources.use_spot for resources in task.resources):  # its dry run would look for the bucket
        Optimizer.optimize(dag)
    else:
        execution.launch(dag, cluster_name="shelftalk", dryrun=True)
    config = task.to_yaml_config()
    print("\nTASK", json.dumps({key: config[key] for key in ("resources", "envs", "file_mounts", "run")}))
    print("CHOSEN", task.best_resources)


if __name__ == "__main__":
    main()
