"""Live curves: what is sent is what was logged, by the steps of all rounds, and the weights do not depend on it."""

import json
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import torch

from src.errors import UserError
from src.models.adapter import copy_trained_weights
from src.models.attention import Attention
from src.models.backends.transformers import load_trainable
from src.numerics import seed_everything
from src.params import TrainParams
from src.prompts.encoding import EncodedRecord
from src.prompts.packing import make_rows
from src.training import live
from src.training.refusals import refuse_missing_packages
from src.training.rounds import TrainingContext, train_rounds

KEY = "planted-5f1c88e2"
BLOCK, WHOLE, LAST = 2**15, 1, 4  # of a .wandb file
Curve = list[tuple[int, float]]


@pytest.fixture
def trained(
    base_folder: Path, chat_tokenizer: Any, train_params: TrainParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """Trains two rounds of six steps each, and gives the run and the weights."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_API_KEY": KEY, "CI": "true"}.items():
        monkeypatch.setenv(name, value)

    def train(report_to: str) -> Any:
        params = train_params.model_copy(
            update={"packing": False, "accumulation": 1, "save_steps": 100, "report_to": report_to}
        )
        encoded = [EncodedRecord([3 + at] * 9, [3 + at] * 9) for at in range(6)]
        rows = make_rows(encoded, 16, packing=False)
        validation = make_rows(encoded[:2], 16, packing=False).to_list()
        seed_everything(params.seed)
        model = load_trainable(base_folder, params)
        context = TrainingContext(chat_tokenizer, validation, {}, params, Attention("sdpa", False, ""))
        run = train_rounds(model, context, [rows, rows], tmp_path / report_to / "0f3a")
        return run, copy_trained_weights(model)

    return train


def curve(points: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    return [(point["step"], pytest.approx(point["loss"], abs=1e-4)) for point in points]


def tensorboard_curve(name: str) -> Curve:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(live.LIVE / "tensorboard/0f3a"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def dvclive_curve(name: str) -> Curve:
    lines = (live.LIVE / f"dvclive/0f3a/plots/metrics/{name}.tsv").read_text().splitlines()[1:]
    return [(int(line.split("\t")[0]), float(line.split("\t")[1])) for line in lines]


def wandb_records(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format, in blocks, after a header of seven bytes."""
    data, at, record = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:  # no room for a record's header: the block's end is empty
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        if at + 7 + length > len(data):  # being written
            return
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (WHOLE, LAST):
            yield record
            record = b""


def finished_wandb_run(path: Path) -> list[Any]:
    """The records of a run that has ended: W&B's own process writes the last of them a moment after it said so."""
    from wandb.proto.wandb_internal_pb2 import Record

    deadline = monotonic() + 60
    records: list[Any] = []
    while monotonic() < deadline and not any(record.HasField("exit") for record in records):
        records = [Record.FromString(record) for record in wandb_records(path)]
    return records


def wandb_curve(name: str) -> Curve:
    points: Curve = []
    for path in sorted(live.LIVE.glob("wandb/offline-run-*/*.wandb")):
        for history in (record.history for record in finished_wandb_run(path)):
            values = {(*item.nested_key, item.key)[0]: json.loads(item.value_json) for item in history.item}
            points += [(values["_step"], values[name])] if name in values else []
    return points


@pytest.mark.parametrize(
    ("report_to", "sent"),
    [("tensorboard", tensorboard_curve), ("dvclive", dvclive_curve), ("wandb", wandb_curve)],
)
def test_what_is_sent_is_what_was_logged(
    trained: Callable[[str], Any], report_to: str, sent: Callable[[str], Curve]
) -> None:
    pytest.importorskip(report_to, reason=f"needs `make extra-{report_to}`")
    _, silent = trained("none")
    assert not live.LIVE.exists()
    run, weights = trained(report_to)
    assert all(torch.equal(weights[name], weight) for name, weight in silent.items())
    assert [step for step, _ in sent("loss")] == list(range(1, 13))
    assert sent("loss") == curve(run.training_loss)
    measured = dict(sent("validation_loss"))  # the second round measures its beginning once more
    assert list(measured.items()) == curve(run.validation_loss)
    assert len(sent("learning_rate")) == len(sent("grad_norm")) == 12
    assert not [path for path in live.LIVE.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_wandb_is_not_told_the_address_of_git(
    train_params: TrainParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold a token, which W&B would keep where it stands for the user."""
    pytest.importorskip("wandb", reason="needs `make extra-wandb`")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for words in ("init -q", f"remote add origin https://{KEY}:x-oauth-basic@github.com/a/b"):
        subprocess.run(["git", *words.split()], check=True)
    with live.WRITERS["wandb"]("0f3a", train_params) as write:
        write({"loss": 1.0}, 1)
    assert wandb_curve("loss") == [(1, 1.0)]
    assert not [path for path in live.LIVE.rglob("*") if path.is_file() and b"github.com" in path.read_bytes()]
    assert not [path for path in live.LIVE.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_curves_go_on_after_an_interruption(
    trained: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="needs `make extra-tensorboard`")
    send = live.LiveCallback.send

    def interrupted(self: live.LiveCallback, state: Any) -> None:
        send(self, state)
        if self.first_step + state.global_step == 9:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(UserError, match="interrupted"):
        patched.setattr(live.LiveCallback, "send", interrupted)
        trained("tensorboard")
    trained("tensorboard")
    assert sorted(set(tensorboard_curve("loss"))) == sorted(dict(tensorboard_curve("loss")).items())
    assert [step for step, _ in sorted(set(tensorboard_curve("loss")))] == list(range(1, 13))


def test_what_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_missing_packages("none")
    monkeypatch.setattr("src.training.refusals.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"run `make extra-wandb`, or set train.report_to to none"):
        refuse_missing_packages("wandb")
