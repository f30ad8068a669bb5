"""Makes an export of a model with random weights, which answers as fast as a trained one of its shape.

Covers base, adapter and every form that serves. Nothing is downloaded; what such a model says is noise.
"""

import os
import shutil
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import workload
from src.export.forms import ADAPTER_GGUF, BASE_GGUF, BY_NAME
from src.export.gguf import FILE_TYPES, convert_to_gguf
from src.export.k_quants import write_q4_k_m
from src.export.lora import write_lora_gguf
from src.files import read_json
from src.inference.engine import Sampling
from src.models.adapter import LINEAR_LAYERS, save_adapter
from src.models.base_note import describe_base
from src.models.loading import load_base
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import load_tokenizer
from src.serving.note import NAME, ServingNote, write_note

RANK, TOKENS, TITLES = 16, 32, 8  # of the adapter; of an answer, which hardly ever ends by itself; that are asked about


def make_random(shape: str, project: Path) -> Path:
    """Makes base, adapter and export, unless they are there.

    Args:
        shape: a key of workload.SHAPES.
        project: the folder that gets models/.

    Returns:
        The project's folder.
    """
    models = project / "models"
    base, adapter, export = (models / name for name in ("base", "adapter", "export"))
    if (export / NAME).exists():  # written last
        return project
    shutil.rmtree(models, ignore_errors=True)
    models.mkdir(parents=True)
    workload.build_model(shape, base)
    make_adapter(base, adapter)
    export.mkdir()
    with TemporaryDirectory(dir=models) as merged:
        load_base(base, four_bit=False).half().save_pretrained(merged)
        save_tokenizer(load_tokenizer(base, "chat"), Path(merged))
        for precision in FILE_TYPES:
            convert_to_gguf(Path(merged), export / BY_NAME[precision].files[0], precision, shape)
        f16, q4_k_m = (export / BY_NAME[name].files[0] for name in ("f16", "q4_k_m"))
        write_q4_k_m(f16, read_json(Path(merged) / "config.json"), q4_k_m)
    os.link(export / BY_NAME["q8_0"].files[0], export / BASE_GGUF)
    write_lora_gguf(adapter, base, export / ADAPTER_GGUF)
    titles = [product.title for product in islice(workload.catalogue_products(), TITLES)]
    write_note(export, ServingNote(workload.INSTRUCTION, "{title}", Sampling(TOKENS), titles))
    return project


def make_adapter(base: Path, folder: Path) -> None:
    """Saves an adapter as it is before training.

    Args:
        base: the model's folder.
        folder: where to.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=LINEAR_LAYERS, task_type="CAUSAL_LM")
    folder.mkdir()
    adapted = get_peft_model(load_base(base, four_bit=False), config)
    save_adapter(adapted, load_tokenizer(base, "chat"), describe_base(base, four_bit=False), folder)
