"""export: models/base/, models/adapter/, metrics -> models/export/, metrics/export.json

The adapter, the merged weights, GGUF in f16 and Q8_0, an Ollama Modelfile and a model card. Each form is loaded again
and has to answer test prompts as the one it was made from; otherwise nothing is exported.
"""

import shutil
from pathlib import Path
from typing import Any

from src.export import gguf, model_card, parity
from src.files import atomic_folder, read_json, read_jsonl, write_json
from src.inference.transformers_engine import greedy_answers, reference_losses
from src.models.adapter import merge_adapter
from src.models.loading import load_adapted
from src.numerics import seed_everything
from src.params import Params
from src.prompts.encoding import encode_prompt, end_of_turn_id, load_tokenizer, render_record, stop_token_ids
from src.prompts.rendering import ollama_template, prompt_turns
from src.stages.runner import run_stage

BASE, ADAPTER, EXPORT = Path("models/base"), Path("models/adapter"), Path("models/export")


def main(params: Params) -> None:
    """Exports every form and checks it."""
    records = read_jsonl("data/prompts/test.jsonl")[: params.export.check_prompts]
    tokenizer = load_tokenizer(ADAPTER, params.format.template)
    seed_everything(0)  # nothing is drawn: greedy decoding
    with atomic_folder(EXPORT) as folder:
        write_forms(params, tokenizer, folder)
        found = check_forms(params, tokenizer, records, folder)
        write_texts(params, tokenizer, folder)
    write_json("metrics/export.json", found)
    print(f"Exported to {EXPORT}: adapter, merged model and GGUF agree on {found['prompts']} prompts")


def write_forms(params: Params, tokenizer: Any, folder: Path) -> None:
    """The adapter, the merged safetensors and the GGUF files."""
    shutil.copytree(ADAPTER, folder / "adapter")
    merge_adapter(BASE, ADAPTER, params.train.four_bit).save_pretrained(folder / "merged")
    tokenizer.save_pretrained(folder / "merged")
    for precision in gguf.FILE_TYPES:
        gguf.convert_to_gguf(folder / "merged", folder / f"shelftalk-{precision}.gguf", precision, "Shelftalk")


def check_forms(params: Params, tokenizer: Any, records: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Each form beside the one it was made from: the merged model beside the adapter, the GGUFs beside the merged."""
    length = params.train.max_length
    expected = reference_losses(
        load_adapted(BASE, ADAPTER, params.train.four_bit, exact=True), tokenizer, records, length
    )
    merged = load_adapted(folder / "merged", None, four_bit=False, exact=True)
    difference = parity.check_losses_close(
        "the merged model", reference_losses(merged, tokenizer, records, length), expected
    )
    found = {"prompts": len(records), "merged_loss_difference": difference}
    limit = params.export.check_tokens
    answers = [answer.tokens for answer in greedy_answers(merged, tokenizer, records, limit, batch_size=1)]
    for precision in gguf.FILE_TYPES:
        found |= check_gguf(params, tokenizer, merged, records, answers, folder / f"shelftalk-{precision}.gguf")
    return found


def check_gguf(
    params: Params, tokenizer: Any, merged: Any, records: list[dict[str, Any]], expected: list[list[int]], path: Path
) -> dict[str, Any]:
    """llama.cpp's prompts and answers from a GGUF beside the merged model's."""
    prompts = [render_record(tokenizer, record)[0].removeprefix(tokenizer.bos_token or "") for record in records]
    asked = [prompt_turns(params.format.instruction, params.format.question, record["title"]) for record in records]
    said = gguf.ask_llama_cpp(path, asked, params.export.check_tokens)
    parity.check_prompts_equal(path.name, [answer.prompt for answer in said], prompts)
    answers, stop = [answer.tokens for answer in said], end_of_turn_id(tokenizer) or tokenizer.eos_token_id
    preferences = [
        parity.token_preference(merged, encode_prompt(tokenizer, record), ours, theirs, stop)
        for record, ours, theirs in zip(records, expected, answers, strict=True)
    ]
    precision = path.stem.removeprefix("shelftalk-")
    parity.check_answers_agree(path.name, preferences, parity.TOLERANCE[precision])
    return {f"gguf_{precision}_agreement": parity.answer_agreement(answers, expected)}


def write_texts(params: Params, tokenizer: Any, folder: Path) -> None:
    """The Modelfile and the model card."""
    prompt = params.format
    template = ollama_template(tokenizer, prompt.question)
    stops = [tokenizer.decode([stop]) for stop in stop_token_ids(tokenizer)]
    ollama = model_card.render_modelfile(
        "shelftalk-q8_0.gguf", template, prompt.instruction, stops, params.generate.max_new_tokens
    )
    (folder / "Modelfile").write_text(ollama, encoding="utf-8")
    metrics = {stage: read_json(f"metrics/{stage}.json") for stage in ("audit", "train", "evaluate")}
    recipe = model_card.CardFacts(
        base=params.base.source if params.base.source != "hub" else f"{params.base.repository}@{params.base.revision}",
        data=params.data.raw,
        template=prompt.template,
        instruction=prompt.instruction,
        question=prompt.question,
        four_bit=params.train.four_bit,
        tiny_base=params.base.source == "tiny",
        invented_data=params.data.raw.startswith("data/sample/"),
    )
    (folder / "README.md").write_text(model_card.render_model_card(recipe, metrics), encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
