"""The lines of a model card load an adapter on its base as it was trained, and ask it as it was evaluated."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.export.card_code import Loading, loading_lines
from src.inference.engine import Sampling
from src.inference.transformers_engine import TransformersEngine
from src.models.adapter import save_adapter
from src.models.base_note import describe_base
from src.models.loading import load_adapted
from src.params import TrainParams
from tests.conftest import INSTRUCTION, QUESTION
from tests.models.test_adapter import adapted

TITLES = ("Oak Desk Lamp, 30 cm", 'Kerr\'s "Brass" Kettle {2}', "Moss Green Blanket")
TOKENS = 12
SHORT = Sampling(TOKENS)


@pytest.fixture(params=["nf4", "none"])
def loading(
    request: pytest.FixtureRequest, base_folder: Path, tokenizer: Any, train_params: TrainParams, tmp_path: Path
) -> Loading:
    """An adapter whose weights matter, on a base in 4 bits and on one as it is stored, in each template."""
    train = train_params.model_copy(update={"four_bit": request.param == "nf4"})
    note = describe_base(base_folder, train.four_bit)
    assert note["quantisation"] == request.param
    save_adapter(adapted(base_folder, train), tokenizer, note, tmp_path)
    return Loading(note, str(base_folder), str(tmp_path), INSTRUCTION, QUESTION, Sampling(TOKENS))


@pytest.fixture
def expected(loading: Loading, tokenizer: Any, template: Any, record: Callable[..., Any]) -> list[str]:
    """What the generate stage answers."""
    model = load_adapted(Path(loading.place), Path(loading.adapter), loading.base["quantisation"] == "nf4")
    prompts = [record(template, title, "-")["prompt"] for title in TITLES]
    return [answer.text for answer in TransformersEngine(model, tokenizer, len(TITLES)).answer(prompts, SHORT)]


def printed(lines: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a program prints."""
    capsys.readouterr()
    exec(lines, {})
    return capsys.readouterr().out.strip()


def test_the_lines_give_the_answers_of_the_generate_stage(
    loading: Loading, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert [printed(loading_lines(loading, title), capsys) for title in TITLES] == expected


@pytest.mark.parametrize("loading", ["nf4"], indirect=True)
def test_without_the_quantisation_the_answers_are_others(
    loading: Loading, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = loading._replace(base=loading.base | {"quantisation": "none"})
    assert [printed(loading_lines(plain, title), capsys) for title in TITLES] != expected


@pytest.mark.parametrize(
    ("quantisation", "dtype", "words"),
    [
        ("nf4", "bfloat16", '"owner/name", revision="abc", quantization_config=nf4, dtype=torch.bfloat16)'),
        ("stored", "bfloat16", '"owner/name", revision="abc", dtype=torch.bfloat16)'),
        ("stored", "float32", "base.dequantize(torch.float32)"),
        ("none", "float32", "from_pretrained(base, "),
    ],
)
def test_the_base_is_loaded_as_it_was_for_training(quantisation: Any, dtype: str, words: str) -> None:
    base: Any = {"revision": "abc", "quantisation": quantisation, "dtype": dtype}
    lines = loading_lines(Loading(base, "owner/name", "adapter", "Describe.", "{title}", Sampling(9)), "Lamp")
    assert words in lines
    assert bool(re.search("bnb_4bit_compute_dtype=torch.bfloat16", lines)) == (quantisation == "nf4")
    assert max(map(len, lines.splitlines())) <= 120
