"""Every family of base models runs from the base to the export, by the stages themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.files import read_json, read_jsonl, write_jsonl
from src.models.adapter import LINEAR_LAYERS
from src.params import load_params
from src.prompts.encoding import encode_record
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.prompts.tokenizers import load_tokenizer
from src.scoring.generations import read_generations
from src.scoring.pairing import check_paired
from src.stages import audit, base, export, generate, train
from src.synthetic.catalogue import generate_products
from tests.faults.table import set_param
from tests.tiny_bases import FAMILIES, SHAPE, TITLES, WINDOW, sentencepiece_llama

ROOT = Path(__file__).parents[2]
SMALL = {
    "base.folder": "given",
    "train.max_length": WINDOW,
    "train.max_steps": 3,
    "train.eval_records": 4,
    "train.lora_r": 8,
    "generate.records": 4,
    "generate.max_new_tokens": 8,
    "export.check_prompts": 4,
    "export.check_tokens": 6,
    "audit.max_truncated_share": 0.5,
}


@pytest.fixture
def run(project: Path) -> Callable[[Path], None]:
    """Runs the stages from the base to the export on a base model."""
    Path("src").symlink_to(ROOT / "src")  # which checkpoints are named after
    for name, value in SMALL.items():
        set_param(name, str(value))

    def stages(given: Path) -> None:
        Path("given").symlink_to(given)
        write_prompts()
        params = load_params()
        base.main(params)
        audit.main(params)
        train.main(params)
        for variant in generate.ADAPTERS:
            generate.main(params, variant)
        export.main(params)

    return stages


def write_prompts() -> None:
    """Formatted records of the invented catalogue, and odd titles to test with."""
    form = load_params().format
    products = [(product.title, product.content[:120]) for product in generate_products(seed=3, count=30)]
    splits = {"train": products[:24], "validation": products[24:], "test": [(title, "Fine.") for title in TITLES]}
    for split, pairs in splits.items():
        turns = [prompt_turns(form.instruction, form.question, title) for title, _ in pairs]
        write_jsonl(
            f"data/prompts/{split}.jsonl",
            [
                {"uid": title, "title": title} | prompt_and_completion(form.template, asked, text)
                for asked, (title, text) in zip(turns, pairs, strict=True)
            ],
        )


def check_outputs() -> None:
    """Both models were asked in the same tokens, the adapter moved, and every form agrees with what it came from."""
    template = load_params().format.template
    tokenizers = [load_tokenizer(f"models/{name}", template) for name in ("base", "adapter", "export/merged")]
    for row in read_jsonl("data/prompts/test.jsonl"):
        base_ids, *others = (encode_record(tokenizer, row) for tokenizer in tokenizers)
        assert others == [base_ids] * 2
    names = ("base", "tuned")
    check_paired({name: read_generations(Path(f"data/generations/{name}.jsonl")) for name in names})
    trained, exported = read_json("data/reports/train.json"), read_json("data/reports/export.json")
    assert trained["b_matrices_moved"] == SHAPE["num_hidden_layers"] * len(LINEAR_LAYERS)
    assert exported["prompts_read"] == len(TITLES)
    assert exported["forms"]["f16"]["agreement"] > 0.7
    assert Path("models/export/Modelfile").read_text().startswith("FROM ./shelftalk-")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_runs_from_the_base_to_the_export(
    run: Callable[[Path], None], family_base: Callable[[str], Path], family: str
) -> None:
    run(family_base(family))
    check_outputs()


@pytest.mark.parametrize("template", ["plain", "alpaca"])
def test_a_legacy_tokenizer_runs_in_other_templates(run: Any, template: str, tmp_path: Path) -> None:
    set_param("format.template", template)
    # By `legacy` transformers' class for Llama puts spaces where tokenizer.json has none, until it is saved.
    run(sentencepiece_llama(tmp_path / "legacy", "first", legacy=True))
    check_outputs()


def test_rows_beyond_a_sliding_window_are_refused(run: Any, family_base: Callable[[str], Path]) -> None:
    set_param("train.max_length", str(WINDOW + 1))
    with pytest.raises(UserError, match=f"window of {WINDOW} tokens, which .* set train.max_length to {WINDOW} or"):
        run(family_base("mistral with a window"))
