"""Pretraining: the same bytes after a kill as without one, and the committed model is what the command gives."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from src.files import read_json
from src.models.sources import find_changed_file
from src.synthetic import pretrain, pretraining_text
from src.synthetic.pretraining_text import tokenizer_corpus
from src.synthetic.tiny_model import train_tokenizer

EMBEDDED = Path(__file__).parents[2] / "models/embedded"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little text and a checkpoint at every second step."""
    monkeypatch.setattr(pretraining_text, "DESCRIPTIONS", 20)
    monkeypatch.setattr(pretraining_text, "QUESTIONS", 20)
    monkeypatch.setattr(pretraining_text, "TOKENIZER_CHUNKS", 2)
    monkeypatch.setattr(pretrain, "SAVE_STEPS", 2)


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the training before a step, as a kill would."""
    original = pretrain.train_step

    def train_step(training: pretrain.Pretraining, batch: Any) -> float:
        if training.step == step:
            raise KeyboardInterrupt
        return original(training, batch)

    monkeypatch.setattr(pretrain, "train_step", train_step)


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of a folder's files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("step", [1, 3, 9])
def test_a_killed_pretraining_goes_on_to_the_same_bytes(
    short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    pretrain.pretrain(tmp_path / "whole", steps=10, seed=7)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        kill_at(step, killed)
        pretrain.pretrain(tmp_path / "killed", steps=10, seed=7)
    assert not (tmp_path / "killed").exists()
    pretrain.pretrain(tmp_path / "killed", steps=10, seed=7)
    assert contents(tmp_path / "whole") == contents(tmp_path / "killed")
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "killed"}


def test_a_checkpoint_of_another_seed_is_not_taken(
    short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        kill_at(3, killed)
        pretrain.pretrain(tmp_path / "one", steps=4, seed=8)
    pretrain.pretrain(tmp_path / "one", steps=4, seed=7)
    pretrain.pretrain(tmp_path / "other", steps=4, seed=7)
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "other/model.safetensors").read_bytes()


def test_the_written_model_loads(short: None, tmp_path: Path) -> None:
    pretrain.pretrain(tmp_path / "one", steps=2, seed=7)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    assert str(model.dtype) == "torch.bfloat16"
    assert len(AutoTokenizer.from_pretrained(tmp_path / "one")) <= model.config.vocab_size
    assert find_changed_file(tmp_path / "one") is None
    (tmp_path / "one/config.json").write_text("{}")
    assert find_changed_file(tmp_path / "one") == tmp_path / "one/config.json"


def test_the_first_steps_are_those_of_the_committed_model() -> None:
    trace = read_json(EMBEDDED / pretrain.TRACE)
    assert (trace["steps"], trace["seed"]) == (pretrain.STEPS, pretrain.SEED)
    training = pretrain.start_training(pretrain.STEPS, pretrain.SEED)
    batches = pretrain.draw_batches(training)
    losses = [pretrain.train_step(training, next(batches)) for _ in trace["first_losses"]]
    assert losses == pytest.approx(trace["first_losses"], rel=5e-3)  # bfloat16 has three digits, float32 more


def test_the_committed_model_is_small_whole_and_trained() -> None:
    trace = read_json(EMBEDDED / pretrain.TRACE)
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED)
    assert find_changed_file(EMBEDDED) is None
    assert model.num_parameters() <= 4_000_000
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) <= 8_000_000
    assert trace["mean_loss"][-1] < 0.5 * trace["mean_loss"][0]


def test_the_committed_tokenizer_is_the_text_s() -> None:
    learnt = train_tokenizer(tokenizer_corpus(pretrain.SEED))
    assert learnt.get_vocab() == AutoTokenizer.from_pretrained(EMBEDDED).get_vocab()
