"""Writes models/adapter on models/base into models/export, in the forms that other programs load, each checked.

The forms are the adapter, the merged weights, GGUF in f16 and Q8_0, and an Ollama Modelfile for the GGUF that the
measurements favour. Each is loaded again, has to read all test prompts as training did and to answer some of them as
the form it was made from; otherwise nothing is exported. data/reports/export.json has how closely they agree.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.export.gguf import FILES, convert_to_gguf
from src.export.merge import merge_adapter
from src.export.modelfile import render_modelfile
from src.export.parity import check_answers, check_losses, check_prompt_tokens, prompt_checks, served_precision
from src.files import atomic_folder, read_jsonl, write_json
from src.hosted.exporting import export_nothing
from src.inference.engine import Sampling, sampling_of
from src.inference.llama_cpp import LlamaCppEngine
from src.inference.reference_loss import reference_losses
from src.inference.transformers_engine import TransformersEngine
from src.models.loading import load_adapted
from src.numerics import seed_everything
from src.params import Params
from src.progress import activity
from src.prompts.ollama import ollama_template
from src.prompts.rendering import FormattedRecord
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import load_tokenizer, stop_texts
from src.stages.runner import Outcome, run_stage

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BASE, ADAPTER, EXPORT = Path("models/base"), Path("models/adapter"), Path("models/export")


def main(params: Params) -> Outcome:
    """Exports every form and checks it; of a hosted model there is none."""
    if nothing := export_nothing(ADAPTER, EXPORT):
        return Outcome(nothing)
    records = read_jsonl("data/prompts/test.jsonl")
    tokenizer = load_tokenizer(ADAPTER, params.format.template)
    seed_everything(0)  # nothing is drawn: greedy decoding
    with atomic_folder(EXPORT) as folder:
        write_forms(params, tokenizer, folder)
        metrics = check_forms(params, tokenizer, records, folder)
        write_modelfile(params, tokenizer, metrics["modelfile"], folder)
    write_json("data/reports/export.json", metrics)
    found = " and ".join(f"{metrics[f'gguf_{precision}_agreement']:.0%} from {precision}" for precision in FILES)
    return Outcome(
        f"merged weights within {metrics['merged_loss_difference']:.4f} nats a token of the adapter; llama.cpp gives "
        f"their answers to {metrics['prompts']} prompts, {found}; the Modelfile takes {metrics['modelfile']}"
    )


def write_forms(params: Params, tokenizer: "PreTrainedTokenizerBase", folder: Path) -> None:
    """Writes the adapter, the merged safetensors and the GGUF files.

    Args:
        params: the parameters.
        tokenizer: the adapter's, with the chat template.
        folder: an empty one.
    """
    shutil.copytree(ADAPTER, folder / "adapter")
    with activity("Merging the adapter into its base"):
        merge_adapter(BASE, ADAPTER, params.train.four_bit).save_pretrained(folder / "merged")
    save_tokenizer(tokenizer, folder / "merged")
    for precision, name in FILES.items():
        with activity(f"Converting to {name}"):
            convert_to_gguf(folder / "merged", folder / name, precision, "Shelftalk")


def write_modelfile(params: Params, tokenizer: "PreTrainedTokenizerBase", precision: str, folder: Path) -> None:
    """Writes the Modelfile.

    Args:
        params: the parameters.
        tokenizer: the adapter's, with the chat template.
        precision: of the GGUF that it takes.
        folder: where that file is.
    """
    template, stops = ollama_template(tokenizer, params.format.question), stop_texts(tokenizer)
    sampling = sampling_of(params.generate)
    modelfile = render_modelfile(FILES[precision], template, params.format.instruction, stops, sampling)
    (folder / "Modelfile").write_text(modelfile, encoding="utf-8")


def check_forms(
    params: Params, tokenizer: "PreTrainedTokenizerBase", records: list[FormattedRecord], folder: Path
) -> dict[str, Any]:
    """Compares each form with the one it was made from: the merged model with the adapter, the GGUFs with the merged.

    Args:
        params: the parameters.
        tokenizer: the adapter's, with the chat template.
        records: formatted test records.
        folder: what `write_forms` filled.

    Returns:
        The metrics of the stage.

    Raises:
        UserError: naming the first form that differs by more than rounding explains.
    """
    length, checked = params.train.max_length, records[: params.export.check_prompts]
    # The adapter's losses before the merged model is loaded: in 32 bits two models need not fit the memory.
    expected = reference_losses(
        load_adapted(BASE, ADAPTER, params.train.four_bit, exact=True), tokenizer, checked, length
    )
    model = load_adapted(folder / "merged", None, four_bit=False, exact=True)
    difference = check_losses("the merged model", reference_losses(model, tokenizer, checked, length), expected)
    # One prompt at a time, as llama.cpp answers: padding changes the last bits, and a tie may turn on them.
    merged = TransformersEngine(model, tokenizer, batch_size=1)
    shares = check_ggufs(params, merged, records, folder)
    return {
        "prompts": len(checked),
        "prompts_read": len(records),
        "merged_loss_difference": difference,
        **{f"gguf_{precision}_agreement": share for precision, share in shares.items()},
        "modelfile": served_precision(shares),
    }


def check_ggufs(
    params: Params, merged: TransformersEngine, records: list[FormattedRecord], folder: Path
) -> dict[str, float]:
    """The shares of prompts that the GGUF files answer with exactly the merged model's tokens, by precision.

    Args:
        params: the parameters.
        merged: the model that they were converted from.
        records: formatted test records.
        folder: where the files are.
    """
    asked, sampling = (params.format.instruction, params.format.question), Sampling(params.export.check_tokens)
    checks = prompt_checks(merged, records[: params.export.check_prompts], *asked, sampling)
    shares = {}
    for precision, name in FILES.items():
        engine = LlamaCppEngine(folder / name)
        # Prompts before answers: another prompt explains other answers, and is the error to fix.
        check_prompt_tokens(engine, merged.tokenizer, records, *asked)
        shares[precision] = check_answers(engine, precision, merged, checks, sampling)
    return shares


if __name__ == "__main__":
    run_stage(main)
