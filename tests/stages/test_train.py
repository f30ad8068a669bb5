"""train: what it writes, that it goes on after a kill, and that several processes reach what one does."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from src.errors import UserError
from src.files import read_json, write_json, write_jsonl
from src.models import loading
from src.params import Params, params_for_stage
from src.stages import audit, train
from src.training import checkpoints, machines
from src.training.checkpoints import checkpoint_step, newest_checkpoint
from tests.remotes.conftest import free_port
from tests.training.plans import training_plan

ROOT = Path(__file__).parents[2]
FSDP_ON_A_CPU = ROOT / "tests/stages/fsdp_on_a_cpu.py"
STEPS = 12


@pytest.fixture
def params(project: Path, base_folder: Path, record: Callable[..., Any], train_params: Any) -> Params:
    """Prompts, the tiny base, the code and the audit's plan in place, and a params.yaml for twelve steps."""
    from src.synthetic.catalogue import generate_products

    Path("models").mkdir()
    Path("models/base").symlink_to(base_folder)
    Path("src").symlink_to(ROOT / "src")  # which the train stage declares, and its checkpoints are named after
    records = [
        {"uid": f"B{at}"} | record("chat", one.title, one.content[:80])
        for at, one in enumerate(generate_products(3, 30))
    ]
    write_jsonl("data/prompts/train.jsonl", records[:24])
    for split in ("validation", "test"):
        write_jsonl(f"data/prompts/{split}.jsonl", records[24:])
    values = {"packing": False, "epochs": 1.0, "accumulation": 1, "save_steps": 1}
    params = set_train(train_params.model_dump() | values)
    audit.main(params_for_stage("audit"))
    return params


def plan_steps(steps: int) -> None:
    """Writes a plan of so many steps in place of the audit's."""
    write_json("data/training_plan.json", training_plan(steps))


def set_train(values: dict[str, Any]) -> Params:
    """Writes parameters of training into params.yaml, and gives what the stage will read."""
    yaml, path = YAML(), Path("params.yaml")
    document = yaml.load(path)
    document["train"].update(values)
    yaml.dump(document, path)
    return params_for_stage("train")


def start(command: list[str]) -> subprocess.Popen[str]:
    """A command as a process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def adapter(folder: str = "models/adapter") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_what_training_reached_is_written(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = train.main(params)
    metrics = read_json("data/reports/train.json")
    assert (metrics["records"], metrics["rows"], metrics["rounds"]) == (24, 24, 1)
    assert metrics["steps"] == metrics["predicted_steps"] == metrics["kept_step"] == STEPS
    assert metrics["b_matrices_moved"] == metrics["b_matrices"] == 21  # seven in each of three layers
    assert (metrics["base"], len(metrics["base_sha256"])) == ("models/embedded", 64)
    assert metrics["base_sha256"] == read_json("models/adapter/base.json")["sha256"]
    assert metrics["validation_loss_best"] <= metrics["validation_loss_last"] < metrics["validation_loss_first"]
    speed, seconds = outcome.measured["tokens_per_second"], outcome.measured["training_seconds"]
    assert speed == pytest.approx(metrics["tokens_seen"] / seconds, rel=0.1)
    losses = f"{metrics['validation_loss_first']:.3f} to {metrics['validation_loss_kept']:.3f}"
    assert outcome.line == f"validation loss {losses} nats a token, {STEPS} steps at {speed:,} tokens/s"
    assert Path("data/tables/train/training.tsv").read_text().startswith("step\tepoch\tloss\n1\t")
    assert Path("data/tables/train/validation.tsv").read_text().startswith("step\tepoch\tloss\n0\t")
    assert list(Path(".checkpoints").iterdir()) == []
    assert "Attention: sdpa" in capsys.readouterr().out


def test_a_training_whose_curves_cannot_be_written_is_not_done_again(params: Params) -> None:
    Path("data/tables/train").write_text("a file in the folder's place")
    with pytest.raises(OSError):
        train.main(params)
    before, [kept] = adapter(), Path(".checkpoints").iterdir()
    assert (kept / "round-1").is_dir()
    Path("data/tables/train").unlink()
    train.main(params)
    assert adapter() == before
    assert not kept.exists()


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_order_of_sums_is_fixed_before_the_model_is_loaded(
    params: Params, monkeypatch: pytest.MonkeyPatch, deterministic: bool
) -> None:
    asked: list[tuple[int, bool]] = []
    monkeypatch.setattr(train, "seed_everything", lambda *given: asked.append(given))
    monkeypatch.setattr(loading, "load_base", lambda *given, **named: pytest.fail("far enough"))
    with pytest.raises(pytest.fail.Exception, match="far enough"):
        train.main(set_train({"deterministic": deterministic}))
    assert asked == [(params.train.seed, deterministic)]


def test_another_prediction_is_refused(params: Params) -> None:
    plan_steps(STEPS + 1)
    with pytest.raises(UserError, match="plans 13 steps, and the prompts make 12: run the audit again"):
        train.main(params)


def test_the_audit_predicts_every_round(params: Params) -> None:
    rounds = set_train({"rounds": 5, "batch_size": 3, "packing": True})
    audit.main(params_for_stage("audit"))
    train.main(rounds)
    seen, metrics = read_json("data/reports/audit.json"), read_json("data/reports/train.json")
    assert metrics["steps"] == seen["predicted_steps"] > STEPS // 2
    assert metrics["rows"] == seen["rows"]
    plan_steps(seen["predicted_steps"] + 1)
    with pytest.raises(UserError, match="run the audit again"):
        train.main(rounds)


def test_a_killed_run_goes_on_to_the_same_adapter(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    process = start([sys.executable, "-m", "src.stages.train"])
    deadline = time.monotonic() + 120
    while not (saved := list(Path(".checkpoints").glob("*/round-1-steps/checkpoint-[3-9]"))):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.01)
    process.kill()  # just as a checkpoint is written
    process.communicate()
    assert not Path("models/adapter").exists()
    step = checkpoint_step(newest_checkpoint(saved[0].parent) or saved[0])
    capsys.readouterr()
    train.main(params)
    assert f"Going on from step {step}" in capsys.readouterr().out
    resumed, metrics = adapter(), read_json("data/reports/train.json")
    train.main(params)
    assert "Going on" not in capsys.readouterr().out
    assert adapter() == resumed
    assert read_json("data/reports/train.json") == metrics


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file can grow beyond 100 KB once three checkpoints are written; no fixture, since pytest writes files too."""
    limits, write, written = resource.getrlimit(resource.RLIMIT_FSIZE), checkpoints.write_manifest, []

    def write_and_fill(checkpoint: Path) -> None:
        write(checkpoint)
        written.append(checkpoint)
        if len(written) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

    monkeypatch.setattr(checkpoints, "write_manifest", write_and_fill)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_last_checkpoint(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    message = r"checkpoint-4 could not be written \(.*training goes on from step 3\."
    with pytest.raises(UserError, match=message), full_disk(monkeypatch):
        train.main(params)
    assert not Path("models/adapter").exists()
    [folder] = Path(".checkpoints").glob("*/round-1-steps")
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-2", "checkpoint-3"]


def two_processes(*options: str) -> str:
    """What trains in two processes on a CPU."""
    plain = "--num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no --main_process_port 0"
    return " ".join(["accelerate launch", *options, plain])


def ended(launcher: str, *program: str) -> tuple[int, str]:
    """The exit status and the output of a program that a launcher starts."""
    command = [str(Path(sys.executable).parent / "accelerate"), *launcher.split()[1:], *program]
    process = start(command)
    output = process.communicate(timeout=300)[0]
    return process.returncode, output


@pytest.fixture
def alone(params: Params) -> dict[str, Any]:
    """What one process reaches, in two rounds of three steps; then params.yaml is for two processes."""
    rounds = set_train({"batch_size": 4, "rounds": 2, "packing": True, "best_checkpoint": True, "eval_steps": 1})
    plan_steps(6)
    train.main(rounds)
    shutil.copytree("models/adapter", "alone")
    set_train({"batch_size": 2})
    return read_json("data/reports/train.json")


def test_the_stage_starts_the_processes_that_its_parameters_name(params: Params) -> None:
    set_train({"launcher": f"{two_processes('--multi_gpu')} -m", "batch_size": 1})
    process = start([sys.executable, "-m", "src.stages.train"])
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    assert read_json("runtime.json")["train"]["processes"] == 2


def check_metrics(alone: dict[str, Any], rel: float) -> None:
    """Two processes reached the losses of one."""
    found = read_json("data/reports/train.json")
    assert found.keys() == alone.keys()
    for name, value in alone.items():
        assert found[name] == (pytest.approx(value, rel=rel) if "loss" in name else value), name


def check_adapter() -> None:
    """Two processes wrote the adapter of one."""
    assert adapter("models/adapter").keys() == adapter("alone").keys()
    ours, theirs = (load_file(f"{folder}/adapter_model.safetensors") for folder in ("models/adapter", "alone"))
    assert {name: weight.shape for name, weight in ours.items()} == {name: one.shape for name, one in theirs.items()}
    assert max(float((weight - theirs[name]).abs().max()) for name, weight in ours.items()) < 1e-4


def test_two_processes_reach_what_one_does(alone: dict[str, Any]) -> None:
    launcher = two_processes("--multi_gpu")
    set_train({"launcher": f"{launcher} -m"})
    status, output = ended(launcher, "-m", "src.stages.train")
    assert status == 0, output
    check_metrics(alone, rel=1e-5)
    check_adapter()
    assert read_json("runtime.json")["train"]["processes"] == 2
    assert output.count("step 3 of 3") == 2
    assert "Traceback" not in output and "warn" not in output.lower(), output


TWO_MACHINES = (
    "accelerate launch --multi_gpu --num_machines 2 --num_processes 2 --mixed_precision no --dynamo_backend no -m"
)


def start_machine(rank: int, folder: Path, port: int, **variables: str) -> subprocess.Popen[str]:
    """A machine's command in its own copy of the project."""
    named = {"MACHINE_RANK": str(rank), "MAIN_PROCESS_IP": "127.0.0.1", "MAIN_PROCESS_PORT": str(port)}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | named | variables
    command = [sys.executable, "-m", "src.stages.train"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def ends_of(*machines: subprocess.Popen[str]) -> tuple[list[int], list[str]]:
    """The exit status and the output of each machine; none is left running."""
    try:
        outputs = [machine.communicate(timeout=300)[0] for machine in machines]
    finally:
        for machine in machines:
            if machine.poll() is None:
                os.killpg(machine.pid, signal.SIGKILL)
    return [machine.returncode for machine in machines], outputs


def copy_for_second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second machine's copy of the project, which shares no folder with the first; both are set to train together."""
    set_train({"launcher": TWO_MACHINES})
    return Path(shutil.copytree(".", tmp_path_factory.mktemp("machines") / "second", symlinks=True))


@pytest.fixture
def second(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second machine's copy, where nothing was trained yet."""
    return copy_for_second(tmp_path_factory)


def test_two_machines_reach_what_one_does(alone: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    shutil.rmtree("models/adapter")
    second = copy_for_second(tmp_path_factory)
    port = free_port()
    statuses, outputs = ends_of(start_machine(0, Path(), port), start_machine(1, second, port))
    assert statuses == [0, 0], outputs
    check_metrics(alone, rel=1e-5)
    check_adapter()
    assert read_json("runtime.json")["train"]["processes"] == 2
    assert outputs[0].count("step 3 of 3") == 2 and "step 3 of 3" not in outputs[1]
    assert not (second / "models/adapter").exists()
    assert not any("Traceback" in output for output in outputs), outputs


def test_a_machine_that_does_not_come_is_named(second: Path) -> None:
    statuses, [output] = ends_of(start_machine(0, Path(), free_port(), MACHINES_WAIT_SECONDS="2"))
    assert statuses == [1]
    assert "machine 1 did not come within 2 seconds: run `python -m src.stages.train` on it" in output
    assert "Traceback" not in output, output


def test_a_first_machine_that_is_not_there_is_told(second: Path) -> None:
    port = free_port()
    statuses, [output] = ends_of(start_machine(1, second, port, MACHINES_WAIT_SECONDS="2"))
    assert statuses == [1]
    assert f"the machines could not meet at 127.0.0.1:{port} within 2 seconds" in output
    assert "Traceback" not in output, output


def test_machines_that_would_train_different_things_are_refused(second: Path) -> None:
    set_train({"lr": 5e-4})
    port = free_port()
    statuses, outputs = ends_of(start_machine(0, Path(), port), start_machine(1, second, port))
    assert statuses == [1, 1], outputs
    assert all("the machines would train different things" in output for output in outputs)


def test_machines_with_different_checkpoints_are_refused(second: Path) -> None:
    port, folder = free_port(), Path(".checkpoints") / machines.name_of_training(params_for_stage("train"))
    (folder / "round-1").mkdir(parents=True)
    statuses, outputs = ends_of(start_machine(0, Path(), port), start_machine(1, second, port))
    assert statuses == [1, 1], outputs
    assert all("let .checkpoints be a folder that all of them share" in output for output in outputs)


@pytest.mark.parametrize(
    ("rank", "address"), [("", "10.0.0.1"), ("2", "10.0.0.1"), ("1", "")], ids=["no rank", "no such rank", "no address"]
)
def test_a_machine_that_does_not_know_which_it_is_is_told(rank: str, address: str) -> None:
    with pytest.raises(UserError, match=r"set MACHINE_RANK .0 to 1; 0 runs .dvc repro.. and MAIN_PROCESS_IP"):
        machines.this_machine(TWO_MACHINES, 2, {"MACHINE_RANK": rank, "MAIN_PROCESS_IP": address})


def test_a_node_of_skypilot_knows_which_machine_it_is() -> None:
    node = {"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2"}
    launcher = TWO_MACHINES.replace(" -m", " --main_process_port 4711 -m")
    assert machines.this_machine(launcher, 2, node) == machines.Machine(1, 2, "10.0.0.1", 4711, 600)


SHARDED = two_processes("--use_fsdp", "--fsdp_version", "2")


def test_a_model_sharded_over_processes_reaches_what_a_whole_one_does(alone: dict[str, Any]) -> None:
    set_train({"launcher": f"{SHARDED} -m"})
    status, output = ended(SHARDED, str(FSDP_ON_A_CPU))
    assert status == 0, output
    check_metrics(alone, rel=1e-5)
    check_adapter()
    assert output.count("step 3 of 3") == 2
    assert "Traceback" not in output and "warn" not in output.lower(), output
    whole, metrics = adapter(), read_json("data/reports/train.json")

    shutil.rmtree("models/adapter")
    status, output = ended(SHARDED, str(FSDP_ON_A_CPU), "--killed-at", "5")  # step 2 of round 2
    assert status != 0 and not Path("models/adapter").exists()
    status, output = ended(SHARDED, str(FSDP_ON_A_CPU))
    assert status == 0, output
    [going_on] = [line for line in output.splitlines() if line.startswith("Going on")]
    assert "Going on from step 2" in going_on and "round-2-steps" in going_on
    assert adapter() == whole
    assert read_json("data/reports/train.json") == metrics


def test_a_model_sharded_over_processes_computes_in_16_bits_and_sums_in_32(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "compute_dtype", lambda: torch.bfloat16)
    plan_steps(2)
    train.main(set_train({"batch_size": 4, "max_steps": 2}))
    alone = read_json("data/reports/train.json")
    set_train({"batch_size": 2, "launcher": f"{SHARDED} -m"})
    status, output = ended(SHARDED, str(FSDP_ON_A_CPU), "--dtype", "bfloat16")
    assert status == 0, output
    check_metrics(alone, rel=5e-5)


@pytest.mark.parametrize("logits", [2**25, 2**14], ids=["whole", "chunks"])
def test_4_bit_weights_are_sharded_too(params: Params, logits: int) -> None:
    plan_steps(2)
    train.main(set_train({"batch_size": 4, "max_steps": 2, "four_bit": True}))
    alone = read_json("data/reports/train.json")
    set_train({"batch_size": 2, "launcher": f"{SHARDED} -m"})
    status, output = ended(SHARDED, str(FSDP_ON_A_CPU), "--logits-at-once", str(logits))
    assert status == 0, output
    check_metrics(alone, rel=1e-5)


def test_a_model_is_not_sharded_on_a_cpu(params: Params) -> None:
    set_train({"launcher": f"{SHARDED} -m"})
    status, output = ended(SHARDED, "-m", "src.stages.train")
    assert status != 0
    assert "which shards the model (FSDP), and that takes GPUs, and PyTorch sees none here" in output, output
