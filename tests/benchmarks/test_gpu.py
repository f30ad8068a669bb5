"""The GPU check on a CPU: the same command at a small shape; and the figures of its meter."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import backend_agreement, gpu, gpu_parts, workload
from benchmarks.meter import count_records
from benchmarks.repeated_training import compare_weights
from src.models.collation import collate_flat, collate_padded
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord

ROOT = Path(__file__).parents[2]
on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture(scope="module")
def cpu_check(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The results of the check without a GPU, and what the command printed."""
    folder = tmp_path_factory.mktemp("bench")
    results = folder / "results.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--minutes", "60", "--folder", str(folder)]
    command += ["--results", str(results)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(results.read_text()), done.stdout


@on_a_cpu
def test_all_that_runs_on_a_cpu_ran(cpu_check: tuple[dict[str, Any], str]) -> None:
    results, printed = cpu_check
    for name, part in results.items():
        assert "failed" not in part if isinstance(part, dict) else name == "seconds", part
        if "unsloth" in name or "notebook" in name:
            assert part == {"not_run": "needs an NVIDIA GPU"}
    assert printed.strip().endswith("results.json.") and "| ours |" in printed


@on_a_cpu
def test_training_through_the_bench_is_right(cpu_check: tuple[dict[str, Any], str]) -> None:
    results, _ = cpu_check
    for variant in gpu_parts.VARIANTS:
        trained = results[f"agreement/transformers/{variant}"]
        assert trained["labels_right"] and trained["validation_loss"][-1] < trained["validation_loss"][0] - 0.1
        reloaded = results[f"reload/transformers/{variant}"]["validation_loss"]
        assert reloaded == pytest.approx(trained["validation_loss"][-1], rel=1e-3)
    packed = results["agreement/transformers/4-bit, packed"]
    assert packed["packed_loss"] == pytest.approx(packed["single_loss"], rel=1e-5)


@on_a_cpu
def test_speeds_are_of_the_steps_after_the_warm_up(cpu_check: tuple[dict[str, Any], str]) -> None:
    results, _ = cpu_check
    for trainer in ("ours", "plain"):
        measured = results[f"speed/small/{trainer}"]
        assert measured["steps"] > 0 and 0 < measured["trained_tokens"] < measured["tokens"] <= measured["places"]
        assert measured["tokens_per_second"] == pytest.approx(measured["tokens"] / measured["seconds"], rel=0.01)
        assert 0 < measured["useful_tflops"] < 10 * results["device"]["matrix_tflops"]  # both are of short moments
        assert measured["graphs"] == 0  # nothing is compiled
    assert results["answering/4-bit"]["tokens"] > results["answering/4-bit, one by one"]["tokens"] > 0


@on_a_cpu
def test_two_trainings_on_a_cpu_give_the_same_adapter(cpu_check: tuple[dict[str, Any], str]) -> None:
    results, printed = cpu_check
    repeated = results["repeat/as it is"]
    assert repeated["matrices"] == 28 and repeated["differing"] == 0  # A and B on 7 maps in 2 layers
    assert "| as it is | 0 of 28 | 0 |" in printed


@on_a_cpu
def test_the_profile_tells_what_takes_the_time(cpu_check: tuple[dict[str, Any], str]) -> None:
    results, printed = cpu_check
    profiled = results["profile/as it is"]
    shares = [kernel["share"] for kernel in profiled["kernels"]]
    assert shares == sorted(shares, reverse=True) and 0.3 < sum(shares) <= profiled["busy"] + 0.01
    assert "aten::mm" in {kernel["name"] for kernel in profiled["kernels"]} and "`aten::mm`" in printed
    assert profiled["steps"] == 3 and profiled["seconds"] > 0


def test_a_gpu_would_run_every_part_that_is_asked_for(tmp_path: Path) -> None:
    names = [part.name for part in gpu_parts.all_parts(tmp_path, on_gpu=True)]
    assert len(names) == len(set(names))
    for shape in ("Llama-3.2-1B", "Llama-3-8B"):
        assert {f"speed/{shape}/{trainer}" for trainer in ("ours", "notebook", "plain")} <= set(names)
    assert {
        f"agreement/{backend}/{variant}" for backend in gpu_parts.BACKENDS for variant in gpu_parts.VARIANTS
    } <= set(names)
    tasks: dict[str, Any] = {part.name: part.task for part in gpu_parts.all_parts(tmp_path, True)}
    task = tasks["speed/Llama-3.2-1B/ours"]
    assert (task.train["batch_size"], task.train["accumulation"], task.train["lora_r"]) == (16, 2, 32)
    assert tasks["speed/Llama-3-8B/ours"].params().max_steps == 20
    fastest = tasks["speed/Llama-3.2-1B/ours all at once"].params()
    assert (fastest.compile, fastest.gradient_checkpointing, fastest.deterministic) == (True, False, False)
    assert fastest.batch_size * fastest.accumulation == 32
    assert not tasks["repeat/as it is"].train["deterministic"]
    assert tasks["repeat/in a fixed order"].train["deterministic"]


def test_a_part_that_fails_gives_the_reason_and_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = backend_agreement.AgreementTask(
        str(tmp_path), gpu_parts.agreement_settings(on_gpu=False), str(tmp_path / "adapter")
    )
    part = gpu_parts.Part("agreement/x", "benchmarks.backend_agreement train", task)
    outcome = gpu.run_part(tmp_path, part, False, time.monotonic() + 600)
    assert "Traceback" in outcome["failed"] and "tokenizer" in outcome["failed"].splitlines()[-1]
    gpu.print_outcome(part, outcome)
    assert "agreement/x: failed: " in capsys.readouterr().out


def test_a_model_that_cannot_be_built_is_why_a_part_failed(tmp_path: Path) -> None:
    task = backend_agreement.AgreementTask(
        str(tmp_path / "no shape"), gpu_parts.agreement_settings(on_gpu=False), str(tmp_path / "adapter")
    )
    part = gpu_parts.Part("agreement/x", "benchmarks.backend_agreement train", task)
    assert gpu.run_part(tmp_path, part, False, time.monotonic() + 600)["failed"].endswith("KeyError: 'no shape'")


def test_a_part_may_not_take_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert gpu.call_process("timeit", ["-n", "1", "import time; time.sleep(60)"], seconds=1) == {
        "failed": "it has printed nothing\nnot done after 1 s"
    }


STARTS_A_WORKER = """
import pathlib, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("worker").write_text(str(worker.pid))
"""
ENDS = {"killed": "time.sleep(60)", "failed": "sys.exit(1)", "done": ""}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_no_worker_outlives_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part.py").write_text(STARTS_A_WORKER + end)
    gpu.call_process("part", [tmp_path / "part.json"], seconds=5)
    worker = int((tmp_path / "worker").read_text())
    state = Path(f"/proc/{worker}/stat")
    deadline = time.monotonic() + 5
    while state.exists() and state.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not state.exists() or state.read_text().split()[2] == "Z"  # dead, whether or not it has been collected


def test_some_parts_run_again_and_the_rest_is_kept(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text('{"answering/4-bit": {"not_run": "the time was over"}, "speed/x/ours": {"steps": 3}}')
    part = next(part for part in gpu_parts.all_parts(tmp_path, False) if part.name == "agreement/unsloth/4-bit")
    deadline = time.monotonic() + 60
    found = gpu.run_benchmark(tmp_path, [part], False, deadline, json.loads(results.read_text()), results)
    assert found["speed/x/ours"] == {"steps": 3} and found[part.name] == {"not_run": "needs an NVIDIA GPU"}
    assert json.loads(results.read_text()) == found


def gpu_check(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@on_a_cpu
def test_a_second_call_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    earlier, target = tmp_path / "earlier.json", tmp_path / "all.json"
    names = [part.name for part in gpu_parts.all_parts(tmp_path, False)]
    done = {name: {"steps": 3} for name in names if name != "agreement/unsloth/4-bit"}
    earlier.write_text(json.dumps(done | {"agreement/unsloth/4-bit": {"not_run": "the time was over"}}))
    call = gpu_check("--go-on", earlier, "--results", target, "--folder", tmp_path, "--only", "agreement/*", "reload/*")
    assert call.stdout.splitlines()[0] == "agreement/unsloth/4-bit: needs an NVIDIA GPU", call.stderr
    found = json.loads(target.read_text())
    assert {name: found[name] for name in done} == done
    assert found["agreement/unsloth/4-bit"] == {"not_run": "needs an NVIDIA GPU"}


def test_results_to_go_on_from_have_to_be_there(tmp_path: Path) -> None:
    refused = gpu_check("--go-on", tmp_path / "none.json")
    assert refused.returncode == 1 and "there is no such file" in refused.stderr


def test_the_devices_rate_is_kept_where_it_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "call_process", lambda *given: {"failed": "CUDA out of memory"})
    target, kept = tmp_path / "results.json", {"device": {"name": "a GPU"}}
    assert gpu.run_benchmark(tmp_path, [], False, time.monotonic() + 60, kept, target) == kept
    assert gpu.run_benchmark(tmp_path, [], False, time.monotonic() + 60, {}, target)["device"]["failed"]
    assert "failed" in json.loads(target.read_text())["device"]  # written at once


def test_results_of_two_devices_are_not_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "call_process", lambda *given: {"name": "H200"})
    target = tmp_path / "results.json"
    for kept in ({}, {"device": {"name": "H200"}}, {"device": {"failed": "no time"}}):
        assert gpu.run_benchmark(tmp_path, [], True, time.monotonic() + 60, kept, target)["device"]["name"] == "H200"
    target.unlink()
    with pytest.raises(SystemExit, match="results to add to are of H100, this is H200: name another file"):
        gpu.run_benchmark(tmp_path, [], True, time.monotonic() + 60, {"device": {"name": "H100"}}, target)
    assert not target.exists()


def test_a_part_that_cannot_be_started_does_not_end_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_part(folder: Path, part: gpu_parts.Part, *given: Any) -> dict[str, Any]:
        if part.name.endswith("16-bit"):
            raise OSError(28, "No space left on device")
        return {"not_run": "the time was over"}

    monkeypatch.setattr(gpu, "run_part", run_part)
    parts = gpu_parts.all_parts(tmp_path, False)[:3]
    found = gpu.run_benchmark(tmp_path, parts, False, time.monotonic() + 60, {}, tmp_path / "results.json")
    outcomes = [found[part.name] for part in parts]
    assert outcomes == [
        {"not_run": "the time was over"},
        {"failed": "OSError: [Errno 28] No space left on device"},
        {"not_run": "the time was over"},
    ]


def test_a_part_is_not_started_with_less_time_than_its_model_needs(tmp_path: Path) -> None:
    parts = {Path(part.task.base).name: part for part in gpu_parts.all_parts(tmp_path, True) if not part.unsloth}
    for shape, part in parts.items():
        least = gpu.LEAST_SECONDS[shape]
        assert gpu.run_part(tmp_path, part, True, time.monotonic() + least - 1) == {"not_run": "the time was over"}


def test_nothing_is_started_when_the_time_is_over(tmp_path: Path) -> None:
    task = backend_agreement.AgreementTask(str(tmp_path), {"seed": 1}, str(tmp_path / "adapter"))
    part = gpu_parts.Part("agreement/x", "benchmarks.backend_agreement train", task)
    assert gpu.run_part(tmp_path, part, False, deadline=0) == {"not_run": "the time was over"}


def test_a_pattern_that_names_nothing_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--only", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("--only nothing names no part")


RECORDS = [
    EncodedRecord([5, 6, 7], [IGNORE_INDEX, 6, 7]),
    EncodedRecord([8, 9], [IGNORE_INDEX, 9]),
    EncodedRecord([10, 11, 12], [IGNORE_INDEX] * 3),
]
ROWS = [
    {"input_ids": [5, 6, 7, 8, 9], "labels": [IGNORE_INDEX, 6, 7, IGNORE_INDEX, 9], "seq_lengths": [3, 2]},
    {"input_ids": [10, 11, 12], "labels": [IGNORE_INDEX] * 3, "seq_lengths": [3]},
]


@pytest.mark.parametrize("batch", [collate_padded(ROWS, pad_id=2), collate_flat(ROWS)])
def test_labels_are_right_only_where_each_record_has_its_own(batch: dict[str, Any]) -> None:
    assert backend_agreement.labels_match(batch, RECORDS, pad_id=2)
    assert count_records(batch) == 3
    wrong = batch | {"labels": batch["labels"].clone()}
    wrong["labels"][0, 0] = 5
    assert not backend_agreement.labels_match(wrong, RECORDS, pad_id=2)


def test_records_are_counted_by_their_starts_or_by_rows() -> None:
    tokens = torch.ones(2, 3, dtype=torch.long)
    assert count_records({"input_ids": tokens, "position_ids": torch.tensor([[0, 1, 0], [0, 0, 0]])}) == 5
    assert count_records({"input_ids": tokens}) == 2


def test_random_records_have_the_published_lengths() -> None:
    records = workload.random_records(4000, vocabulary=1000, max_length=2048)
    lengths = sorted(len(record.input_ids) for record in records)
    answered = [sum(label != IGNORE_INDEX for label in record.labels) for record in records]
    assert 90 < lengths[1000] < 120 and 230 < lengths[3000] < 260  # 194 and 805 characters, and what is around them
    assert max(lengths) <= 2048 and 120 < sum(answered) / len(answered) < 160
    for record in records:
        pairs = zip(record.input_ids, record.labels, strict=True)
        assert all(label in (IGNORE_INDEX, token) for token, label in pairs)
    assert min(token for record in records for token in record.input_ids) >= 6


def test_adapters_are_compared_bit_by_bit() -> None:
    first = {"b": torch.tensor([1.0, 2.0]), "a": torch.tensor([3.0]), "c": torch.tensor([0.5])}
    second = {"b": torch.tensor([1.0, 2.25]), "a": torch.tensor([3.0 + 2**-22]), "c": torch.tensor([0.5])}
    assert compare_weights(first, second) == {
        "matrices": 3,
        "differing": 2,
        "first_differing": "a",
        "largest_difference": 0.25,
    }
    assert compare_weights(first, first)["differing"] == 0


def test_a_training_that_fails_is_why_it_was_not_repeated(tmp_path: Path) -> None:
    part = next(part for part in gpu_parts.all_parts(tmp_path, False) if part.name == "repeat/as it is")
    (tmp_path / "small").mkdir()
    outcome = gpu.run_part(tmp_path, part, False, time.monotonic() + 600)
    assert "tokenizer" in outcome["failed"] and "CalledProcessError" not in outcome["failed"]
