"""What the tests of serving share: an export of the embedded base with a random adapter, an index, a served model."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from peft import LoraConfig
from safetensors.numpy import save_file

from src.export.forms import ADAPTER_GGUF, BASE_GGUF
from src.export.gguf import convert_to_gguf
from src.export.lora import PREFIX, write_lora_gguf
from src.files import read_json
from src.inference.engine import Sampling
from src.models.loading import load_base
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import load_tokenizer
from src.serving.index import write_index
from src.serving.model import ServedModel
from src.serving.note import ServingNote, write_note
from src.serving.search import TitleIndex
from src.synthetic.catalogue import generate_products
from tests.conftest import INSTRUCTION

EMBEDDED = Path(__file__).parents[2] / "models" / "embedded"
PRODUCTS = {product.title: product.content for product in generate_products(seed=5, count=300)}
TITLES = list(PRODUCTS)
RANK, ALPHA = 4, 8


def write_adapter(folder: Path, scale: float) -> Path:
    """An adapter for the embedded base, in the form of peft.

    Args:
        folder: a new one.
        scale: of its matrices B; 0 as before training.
    """
    config, rng = read_json(EMBEDDED / "config.json"), np.random.default_rng(3)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    weights = {}
    for number in range(config["num_hidden_layers"]):
        for name, (rows, columns) in {"self_attn.q_proj": (hidden, hidden), "mlp.down_proj": (hidden, inner)}.items():
            layer = f"{PREFIX}model.layers.{number}.{name}"
            weights[f"{layer}.lora_A.weight"] = rng.normal(size=(RANK, columns)).astype("float32")
            weights[f"{layer}.lora_B.weight"] = scale * rng.normal(size=(rows, RANK)).astype("float32")
    shape = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    shape.save_pretrained(str(folder))
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def write_base_gguf(target: Path, precision: str) -> None:
    """The embedded base as a GGUF.

    Args:
        target: the file to write, in a folder.
        precision: as of `convert_to_gguf`.
    """
    with TemporaryDirectory(dir=target.parent) as folder:
        load_base(EMBEDDED, four_bit=False, exact=True).half().save_pretrained(folder)
        save_tokenizer(load_tokenizer(EMBEDDED, "chat"), Path(folder))
        convert_to_gguf(Path(folder), target, precision, "base")


def assert_not_mixed(together: list[str], alone: list[str]) -> None:
    """Makes sure that answers given at once are the ones given alone, up to ties, and none is another prompt's.

    Beside others llama.cpp rounds otherwise, and the random adapter leaves near ties, which may then turn.

    Args:
        together: answers to different prompts, asked at once.
        alone: answers to the same prompts, asked one after the other.
    """
    turned = [answer for answer, own in zip(together, alone, strict=True) if answer != own]
    assert len(turned) <= len(alone) * 0.15
    assert not set(turned) & set(alone)


@pytest.fixture(scope="session")
def adapter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random adapter in the form of peft."""
    return write_adapter(tmp_path_factory.mktemp("peft") / "adapter", scale=0.02)


@pytest.fixture(scope="session")
def export_folder(adapter_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """models/export in a new project's folder: what serving needs of an export; not to be changed."""
    folder = tmp_path_factory.mktemp("served") / "models" / "export"
    folder.mkdir(parents=True)
    write_base_gguf(folder / BASE_GGUF, "q8_0")
    write_lora_gguf(adapter_folder, EMBEDDED, folder / ADAPTER_GGUF)
    write_note(folder, ServingNote(INSTRUCTION, "{title}", Sampling(24), TITLES[:3]))
    return folder


@pytest.fixture(scope="session")
def index_path(export_folder: Path) -> Path:
    """data/index.sqlite in the same project's folder, of PRODUCTS."""
    path = export_folder.parents[1] / "data" / "index.sqlite"
    path.parent.mkdir()
    uids = [f"u{number}" for number in range(len(TITLES))]
    write_index(path, [pl.DataFrame({"uid": uids, "title": TITLES, "content": list(PRODUCTS.values())})])
    return path


@pytest.fixture(scope="session")
def title_index(index_path: Path) -> TitleIndex:
    """The index, open."""
    return TitleIndex(index_path)


@pytest.fixture(scope="session")
def served_model(export_folder: Path) -> ServedModel:
    """The exported model with four slots."""
    return ServedModel(export_folder)
