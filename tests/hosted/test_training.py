"""Training by a service, from the prompts to what the stage writes, by the real client against a server with state."""

import json
import logging
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.export.publish import published_files
from src.files import read_json, read_jsonl, read_tsv, write_jsonl
from src.hosted import following, service
from src.hosted.__main__ import main as hosted_command
from src.hosted.training import train_hosted
from src.params import HostedParams, Params, ServiceParams, params_for_stage
from src.serving.model import ServedModel
from src.serving.note import read_note
from src.stages import export, generate, generate_exports, train
from tests.hosted.fake_fine_tuning import (
    BASE_MODEL,
    CLOSED_MESSAGE,
    DROP,
    KEY,
    FakeFineTuning,
    Reply,
    error,
    serve_fine_tuning,
)
from tests.scratch import set_parameters

ROOT = Path(__file__).parents[2]
JOBS, JOB = "/fine_tuning/jobs", "/fine_tuning/jobs/ftjob-1"
RECORDS = 24


@pytest.fixture
def server(
    project: Path, base_folder: Path, record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeFineTuning]:
    """A server, and a project with prompts, a base and the key in the environment; nobody waits."""
    from src.synthetic.catalogue import generate_products

    Path("models").mkdir()
    Path("models/base").symlink_to(base_folder)
    records = [
        {"uid": f"B{at}"} | record("chat", one.title, one.content[:80])
        for at, one in enumerate(generate_products(3, RECORDS + 6))
    ]
    write_jsonl("data/prompts/train.jsonl", records[:RECORDS])
    for split in ("validation", "test"):
        write_jsonl(f"data/prompts/{split}.jsonl", records[RECORDS:])
    monkeypatch.setenv("SOME_KEY", KEY)
    monkeypatch.setattr(service.time, "sleep", lambda seconds: None)
    with serve_fine_tuning() as served:
        yield served


@pytest.fixture
def parameters(server: FakeFineTuning, train_params: Any) -> Callable[..., Params]:
    """The parameters of the train stage for the server, with some of train's changed."""

    def changed(**values: Any) -> Params:
        hosted = HostedParams(epochs=2, batch_size=4, lr_multiplier=0.6, suffix="shop")
        endpoint = ServiceParams(address=server.address, model=BASE_MODEL, key_variable="SOME_KEY")
        asked = {"backend": "openai", "endpoint": endpoint, "hosted": hosted, "price": 3.0, "max_cost": 1.0}
        given = params_for_stage("train")
        return given.model_copy(update={"train": train_params.model_copy(update=asked | values)})

    return changed


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def test_a_job_is_created_followed_and_recorded(
    server: FakeFineTuning, parameters: Callable[..., Params], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train.main(parameters())
    [job] = server.created()
    assert server.count("POST", "/files") == 2 and server.count("POST", JOBS) == 1
    sent = lines(server.files[job["training_file"]])
    assert len(sent) == RECORDS and len(lines(server.files[job["validation_file"]])) == 6
    assert [turn["role"] for turn in sent[0]["messages"]] == ["system", "user", "assistant"]
    assert (job["model"], job["seed"], job["user_provided_suffix"]) == (BASE_MODEL, 42, "shop")
    chosen = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.6}
    assert job["method"]["supervised"]["hyperparameters"] == chosen

    model = f"ft:{BASE_MODEL}:shop:ftjob-1"
    assert outcome.line == f"{model}: validation loss 1.750 to 0.875 nats a token, 4,000 tokens for 0.01"
    assert outcome.measured == {"training_seconds": 60}
    training, validation = (read_tsv(f"data/tables/train/{name}.tsv") for name in ("training", "validation"))
    assert [(row["step"], row["epoch"]) for row in training] == [("1", "0.5"), ("2", "1.0"), ("3", "1.5"), ("4", "2.0")]
    assert [row["loss"] for row in training] == ["3.0", "1.5", "1.0", "0.75"]
    assert [(row["step"], row["loss"]) for row in validation] == [("2", "1.75"), ("4", "0.875")]
    record = read_json("models/adapter/hosted.json")
    assert (record["model"], record["base"], record["address"]) == (model, BASE_MODEL, server.address)
    kept = [(one["step"], one["model"], one["full_valid_loss"]) for one in record["jobs"][0]["checkpoints"]]
    assert kept == [(2, f"{model}:ckpt-step-2", 1.75), (4, f"{model}:ckpt-step-4", 0.875)]
    assert record["jobs"][0]["hyperparameters"] == chosen
    assert "org-1" not in Path("models/adapter/hosted.json").read_text()
    report = read_json("data/reports/train.json")
    assert (report["records"], report["steps"], report["trained_tokens"], report["cost"]) == (24, 4, 4000, 0.01)
    assert report["estimated_tokens"] > 24 * 2 * 10
    told = {"device": None, "backend": "openai", "validation_loss": 0.875}
    assert read_json("metrics/train.json") == told
    shown = capsys.readouterr().out
    for words in ("tokens over all passes", "of 1.00 allowed", "Job ftjob-1: queued.", "Job ftjob-1: succeeded."):
        assert words in shown
    assert shown.count("Fine-tuning job started") == 1  # though it is asked for its events again and again


def test_running_it_again_sends_and_pays_nothing(server: FakeFineTuning, parameters: Callable[..., Params]) -> None:
    def written() -> dict[str, bytes]:
        folders = (Path("models/adapter"), Path("data/tables"), Path("data/reports"), Path("metrics"))
        return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}

    train_hosted(parameters())
    first = written()
    train_hosted(parameters())
    shutil.rmtree(".hosted")  # a clone, or another machine: the service itself knows
    train_hosted(parameters())
    server.files.clear()  # what was trained on may be removed there
    train_hosted(parameters())
    assert written() == first
    assert server.count("POST", "/files") == 2 and server.count("POST", JOBS) == 1


def test_what_happened_before_is_shown_in_its_order(
    server: FakeFineTuning, parameters: Callable[..., Params], capsys: pytest.CaptureFixture[str]
) -> None:
    train_hosted(parameters())
    capsys.readouterr()
    train_hosted(parameters())
    shown = capsys.readouterr().out
    places = [shown.index(words) for words in ("Created fine-tuning", "job started", "The job has succeeded")]
    assert places == sorted(places)


def test_another_seed_or_hyperparameter_is_another_job_with_the_same_files(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    train_hosted(parameters())
    train_hosted(parameters(seed=7))
    train_hosted(parameters(hosted=HostedParams(epochs=0, batch_size=0, lr_multiplier=0.0, suffix="")))
    assert len(server.jobs) == 3 and server.count("POST", "/files") == 2
    assert server.created()[2]["method"]["supervised"]["hyperparameters"]["n_epochs"] == 3  # the service's choice
    assert server.created()[2]["user_provided_suffix"] is None


def test_no_more_validation_records_are_sent_than_asked_for(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    train_hosted(parameters(eval_records=2))
    [job] = server.created()
    assert len(lines(server.files[job["validation_file"]])) == 2


def test_other_examples_are_another_job(server: FakeFineTuning, parameters: Callable[..., Params]) -> None:
    train_hosted(parameters())
    write_jsonl("data/prompts/train.jsonl", read_jsonl("data/prompts/train.jsonl")[1:])
    train_hosted(parameters())
    first, second = server.created()
    assert first["training_file"] != second["training_file"]
    assert first["validation_file"] == second["validation_file"]
    assert server.count("POST", "/files") == 3


def test_a_second_round_starts_from_the_firsts_model(
    server: FakeFineTuning, parameters: Callable[..., Params], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train.main(parameters(rounds=2))
    first, second = server.created()
    assert (first["model"], second["model"]) == (BASE_MODEL, first["fine_tuned_model"])
    halves = [lines(server.files[job["training_file"]]) for job in (first, second)]
    assert [len(half) for half in halves] == [12, 12] and halves[0] != halves[1]
    assert first["validation_file"] == second["validation_file"]
    assert outcome.line.startswith(second["fine_tuned_model"])
    steps = [int(row["step"]) for row in read_tsv("data/tables/train/training.tsv")]
    assert steps == list(range(1, 9))
    assert [float(row["epoch"]) for row in read_tsv("data/tables/train/validation.tsv")] == [1.0, 2.0, 3.0, 4.0]
    assert len(read_json("models/adapter/hosted.json")["jobs"]) == 2
    assert f"Round 2 of 2, from {first['fine_tuned_model']}." in capsys.readouterr().out


@pytest.mark.parametrize("passing", [error(429), error(500), error(503), DROP], ids=["429", "500", "503", "drop"])
@pytest.mark.parametrize("place", ["files", "looking", "events"])
def test_what_fails_for_a_while_is_repeated(
    server: FakeFineTuning, parameters: Callable[..., Params], passing: Reply, place: str
) -> None:
    asked = {"files": ("POST", "/files"), "looking": ("GET", JOB), "events": ("GET", f"{JOB}/events")}[place]
    server.before = lambda method, path, number: passing if (method, path) == asked and number % 3 == 0 else None
    train_hosted(parameters())
    assert len(server.jobs) == 1
    assert server.count(*asked) > 1


LOST = [error(500), error(502), DROP, (200, b"{"), (200, b"<html>")]


@pytest.mark.parametrize("lost", LOST, ids=["500", "502", "drop", "cut off", "HTML"])
def test_a_job_whose_creation_was_not_told_is_found_and_not_paid_twice(
    server: FakeFineTuning, parameters: Callable[..., Params], lost: Reply
) -> None:
    server.after = lambda method, path, number: lost if (method, path, number) == ("POST", JOBS, 0) else None
    train_hosted(parameters())
    assert len(server.jobs) == 1


@pytest.mark.parametrize("passing", [error(429), error(500), DROP], ids=["429", "500", "drop"])
def test_a_job_that_was_not_created_is_created_by_another_attempt(
    server: FakeFineTuning, parameters: Callable[..., Params], passing: Reply
) -> None:
    server.before = lambda method, path, number: passing if (method, path, number) == ("POST", JOBS, 0) else None
    train_hosted(parameters())
    assert len(server.jobs) == 1 and server.count("POST", JOBS) == 2


def test_a_crash_in_the_middle_goes_on_with_the_same_job(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    # The connection breaks for longer than the client repeats.
    server.before = lambda method, path, number: DROP if (method, path) == ("GET", JOB) and number >= 3 else None
    with pytest.raises(UserError, match="cannot be reached, or its answer was cut off"):
        train_hosted(parameters())
    assert not Path("models/adapter").exists()
    server.before = lambda method, path, number: None
    train_hosted(parameters())
    assert len(server.jobs) == 1 and server.count("POST", "/files") == 2


def test_ctrl_c_leaves_the_job_running_and_a_command_cancels_it(
    server: FakeFineTuning,
    parameters: Callable[..., Params],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(seconds: float) -> None:
        if server.created() and server.created()[0]["status"] == "running":
            raise KeyboardInterrupt

    monkeypatch.setattr(following.time, "sleep", interrupt)
    with pytest.raises(UserError, match=r"job ftjob-1 goes on at the service.*`python -m src.hosted cancel ftjob-1`"):
        train_hosted(parameters())
    assert server.created()[0]["status"] == "running"
    given = parameters()
    monkeypatch.setattr("src.hosted.__main__.load_params", lambda: given)
    for words in (["list"], ["cancel", "ftjob-1"], ["list"]):
        monkeypatch.setattr("sys.argv", ["hosted", *words])
        hosted_command()
    said = capsys.readouterr().out.splitlines()
    shown = [f"ftjob-1  running  {BASE_MODEL}", "ftjob-1  cancelled", f"ftjob-1  cancelled  {BASE_MODEL}"]
    assert said[-3:] == shown

    monkeypatch.setattr(following.time, "sleep", lambda seconds: None)
    train_hosted(given)  # a cancelled job is no model: another one is created
    assert [job["status"] for job in server.created()] == ["cancelled", "succeeded"]


def test_a_job_that_the_service_does_not_know_is_told(
    server: FakeFineTuning, parameters: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = parameters()
    monkeypatch.setattr("src.hosted.__main__.load_params", lambda: given)
    monkeypatch.setattr("sys.argv", ["hosted", "cancel", "ftjob-9"])
    with pytest.raises(SystemExit, match=r"has no job ftjob-9 for this key: correct the id \(.hosted/journal"):
        hosted_command()


def test_words_of_the_service_are_shown_without_the_key(
    server: FakeFineTuning, parameters: Callable[..., Params], capsys: pytest.CaptureFixture[str]
) -> None:
    tell = server.tell
    server.tell = lambda identity, message, **data: tell(identity, f"{message} for {KEY}", **data)  # type: ignore
    train_hosted(parameters())
    shown = "".join(capsys.readouterr())
    assert "Fine-tuning job started for …" in shown and KEY not in shown


def test_a_stage_that_is_interrupted_ends_with_how_to_go_on_or_cancel(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    Path("src").symlink_to(ROOT / "src")
    given = parameters().train
    chosen = {name: getattr(given, name) for name in ("backend", "price", "max_cost")}
    chosen |= {name: getattr(given, name).model_dump() for name in ("endpoint", "hosted")}
    set_parameters(Path(), {f"train.{name}": value for name, value in chosen.items()})
    server.steps = 10**6
    stage = subprocess.Popen([sys.executable, "-m", "src.stages.train"], stderr=subprocess.PIPE, text=True)
    while not (server.created() and server.created()[0]["status"] == "running") and stage.poll() is None:
        threading.Event().wait(0.05)  # time.sleep returns at once here
    stage.send_signal(signal.SIGINT)
    _, said = stage.communicate(timeout=60)
    assert stage.returncode == 1
    assert "train: job ftjob-1 goes on at the service" in said and "Traceback" not in said
    assert "python -m src.hosted cancel ftjob-1" in said
    assert server.created()[0]["status"] == "running"


def ended(status: str, code: str = "", message: str = "") -> Callable[[FakeFineTuning], None]:
    """Lets jobs end in another way."""

    def change(server: FakeFineTuning) -> None:
        server.end = status, {"code": code, "message": message, "param": None} if code else None

    return change


def refused(method: str, path: str, reply: Reply) -> Callable[[FakeFineTuning], None]:
    """Lets the server refuse a request."""

    def change(server: FakeFineTuning) -> None:
        server.before = lambda asked, place, number: reply if (asked, place) == (method, path) else None

    return change


def bad_files(server: FakeFineTuning) -> None:
    server.new_file_status = ["uploaded", "error"]


FAILURES: dict[str, tuple[Callable[[FakeFineTuning], None], str]] = {
    "a failed job": (
        ended("failed", "server_error", f"out of luck {KEY}"),
        r"job ftjob-1 at .* has failed \(server_error: out of luck …\)",
    ),
    "moderation": (
        ended("failed", "unsafe_file", "The training file was blocked by our moderation system"),
        r"\(unsafe_file: .*moderation system\).*Records that a service's moderation refuses",
    ),
    "a job cancelled elsewhere": (ended("cancelled"), "job ftjob-1 was cancelled: run the same command again"),
    "a job that names no reason": (ended("failed"), r"has failed \(no code: no reason told\)"),
    "a bad file": (bad_files, r"finds fault with a file \(line 3 is bad\)"),
    "a large file": (refused("POST", "/files", error(413, "Payload Too Large")), "finds the file too large"),
    "no more fine-tuning (403)": (
        refused("POST", JOBS, error(403, CLOSED_MESSAGE)),
        "does not offer fine-tuning .*6 January 2027.*Azure OpenAI",
    ),
    "no more fine-tuning (404)": (
        refused("POST", JOBS, error(404, "Unknown request URL: POST /v1/fine_tuning/jobs")),
        "does not offer fine-tuning .*6 January 2027.*other servers",
    ),
    "no more fine-tuning (410)": (
        refused("POST", JOBS, error(410, "Fine-tuning has been removed")),
        "does not offer fine-tuning .*train.backend transformers",
    ),
    "a key without the right": (
        refused("POST", JOBS, error(403, "Missing scopes: api.model.request")),
        "does not allow the key in SOME_KEY to create a job",
    ),
    "no such model": (
        refused("POST", JOBS, error(404, "The model `x` does not exist", "model_not_found")),
        r"cannot train 'small-2026-01-01' .*correct train.endpoint.model",
    ),
    "no budget": (
        refused("POST", JOBS, error(429, "You exceeded your quota", "insufficient_quota")),
        "your budget there is spent",
    ),
    "a lasting failure": (refused("POST", JOBS, error(500, KEY)), "fails to create a job"),
    "a refused request": (
        refused("POST", JOBS, error(400, f"bad {KEY}\nseed")),
        r"fails to create a job \(.*bad … seed",
    ),
    "a list that is no JSON": (refused("GET", JOBS, (200, f"<p>{KEY}</p>".encode())), "fails to look for a job"),
    "a broken connection": (refused("GET", "/files", DROP), "cannot be reached"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_a_sentence_without_the_key_and_leaves_the_last_result(
    server: FakeFineTuning,
    parameters: Callable[..., Params],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    change, sentence = FAILURES[name]
    change(server)
    with pytest.raises(UserError, match=sentence) as raised:
        train_hosted(parameters())
    shown = "".join(capsys.readouterr())
    assert not [text for text in (str(raised.value), repr(raised.value.__cause__), shown, caplog.text) if KEY in text]
    assert not Path("models/adapter").exists()
    assert all(job["status"] in ("failed", "cancelled", "validating_files") for job in server.created())


def test_a_failed_job_is_followed_by_another_once_its_cause_is_gone(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    server.end = "failed", {"code": "server_error", "message": "later", "param": None}
    with pytest.raises(UserError):
        train_hosted(parameters())
    server.end = "succeeded", None
    server.after = lambda method, path, number: DROP if (method, path, number) == ("POST", JOBS, 1) else None
    train_hosted(parameters())  # the creation of the other one is not told either
    assert [job["status"] for job in server.created()] == ["failed", "succeeded"]


def test_the_journal_knows_the_last_job_of_several(server: FakeFineTuning, parameters: Callable[..., Params]) -> None:
    server.keeps_metadata = False  # so that the journal alone can tell
    server.end = "failed", {"code": "server_error", "message": "later", "param": None}
    with pytest.raises(UserError):
        train_hosted(parameters())
    server.end = "succeeded", None
    train_hosted(parameters())
    train_hosted(parameters())
    assert [job["status"] for job in server.created()] == ["failed", "succeeded"]


def test_a_file_with_a_fault_is_sent_again(server: FakeFineTuning, parameters: Callable[..., Params]) -> None:
    bad_files(server)
    with pytest.raises(UserError, match="finds fault with a file"):
        train_hosted(parameters())
    server.new_file_status = ["processed"]
    train_hosted(parameters())
    assert server.count("POST", "/files") == 3
    assert [job["training_file"] for job in server.created()] == ["file-2"]


def test_a_wrong_key_and_a_missing_one_are_named(
    server: FakeFineTuning, parameters: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-wrong")
    with pytest.raises(UserError, match=r"refuses the key in SOME_KEY \(HTTP 401\): export the right one\.$"):
        train_hosted(parameters())
    monkeypatch.delenv("SOME_KEY")
    before = len(server.requests)
    with pytest.raises(UserError, match=r"train.endpoint: its key is read from .* SOME_KEY, which is not set"):
        train_hosted(parameters())
    assert len(server.requests) == before


def test_what_costs_too_much_is_refused_before_a_byte_is_sent(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    with pytest.raises(
        UserError, match=r"estimated to cost [\d.,]+ .* train.max_cost is 0.00; nothing was sent"
    ) as told:
        train_hosted(parameters(max_cost=0.0))
    assert server.requests == []
    with pytest.raises(UserError, match=r"train.price is not stated.*nothing was sent"):
        train_hosted(parameters(price=-1.0))
    cost = float(re.findall(r"cost ([\d.]+)", str(told.value))[0])
    train_hosted(parameters(max_cost=cost))
    assert read_json("data/reports/train.json")["estimated_cost"] == cost


def test_losses_come_from_the_results_where_events_tell_none(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    server.tells = "results"
    train_hosted(parameters())
    assert [row["loss"] for row in read_tsv("data/tables/train/training.tsv")] == ["3.0", "1.5", "1.0", "0.75"]


def test_a_service_that_tells_no_loss_leaves_empty_tables(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    server.tells = "nowhere"
    outcome = train.main(parameters())
    assert "no validation loss told" in outcome.line
    for name in ("training", "validation"):
        assert Path(f"data/tables/train/{name}.tsv").read_text() == "step\tepoch\tloss\n"
    assert read_json("metrics/train.json")["validation_loss"] is None


def test_base_and_tuned_answer_there_and_nothing_is_exported(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    given = parameters()
    train.main(given)
    hosted = params_for_stage("generate").model_copy(update={"train": given.train})
    for variant in ("base", "tuned"):
        generate.main(hosted, variant)
        rows = lines(Path(f"data/generations/{variant}.jsonl").read_bytes())
        assert len(rows) == 6
        assert all(row["answer"].startswith(f"A {variant} text on ") and row["loss"] is None for row in rows)
    assert {chat["model"] for chat in server.chats} == {BASE_MODEL, f"ft:{BASE_MODEL}:shop:ftjob-1"}
    trained = {json.dumps(row["messages"][:2]) for row in lines(server.files[server.created()[0]["validation_file"]])}
    assert {json.dumps(chat["messages"]) for chat in server.chats} == trained  # the test records are the same here
    assert export.main(params_for_stage("export")).line.startswith("nothing to export: ft:")
    assert (
        generate_exports.main(params_for_stage("generate_exports")).line == "nothing was exported, so nothing answers"
    )
    assert not list(Path("data/generations/exports").glob("*.jsonl"))


def test_what_needs_an_export_tells_where_the_model_is(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    train.main(parameters())
    export.main(params_for_stage("export"))
    told = rf"models/export holds no model: ft:.*:ftjob-1 stays with the service .*{server.address}.*MODEL_CARD.md has"
    with pytest.raises(UserError, match=told):
        read_note(Path("models/export"))
    with pytest.raises(UserError, match=told):
        ServedModel()
    with pytest.raises(UserError, match=told):
        published_files(None)


def test_answers_of_an_adapter_that_is_not_hosted_are_refused(
    server: FakeFineTuning, parameters: Callable[..., Params]
) -> None:
    hosted = params_for_stage("generate").model_copy(update={"train": parameters().train})
    with pytest.raises(UserError, match="models/adapter holds no hosted model: run `dvc repro train`"):
        generate.main(hosted, "tuned")


def test_the_key_is_in_no_file(server: FakeFineTuning, parameters: Callable[..., Params], tmp_path: Path) -> None:
    train.main(parameters())
    found = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert found == []
    assert "SOME_KEY" not in Path("models/adapter/hosted.json").read_text()
