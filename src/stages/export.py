"""export: models/base/, models/adapter/, metrics -> models/export/, metrics/export.json

The adapter, the merged weights, GGUF in f16 and Q8_0, an Ollama Modelfile and a model card. Each form is loaded again
and has to answer test prompts as the one it was made from; otherwise nothing is exported.
"""

import shutil
from pathlib import Path
from typing import Any

from src.files import atomic_folder, read_json, read_jsonl, write_json
from src.models import card, checks, gguf
from src.models.adapter import merge
from src.models.backends.transformers import load_adapted
from src.models.generation import greedy_answers
from src.numerics import seed_everything
from src.params import Params
from src.prompts.encoding import load_tokenizer, render, stop_ids
from src.prompts.rendering import ollama_template, turns
from src.stages.runner import run

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
    print(f"Exported to {EXPORT}: {found['prompts']} prompts answered alike by adapter, merged model and GGUF")


def write_forms(params: Params, tokenizer: Any, folder: Path) -> None:
    """The adapter, the merged safetensors and the GGUF files."""
    shutil.copytree(ADAPTER, folder / "adapter")
    merge(BASE, ADAPTER, params.train.four_bit).save_pretrained(folder / "merged")
    tokenizer.save_pretrained(folder / "merged")
    for precision in gguf.FILE_TYPES:
        gguf.convert(folder / "merged", folder / f"shelftalk-{precision}.gguf", precision, "Shelftalk")


def check_forms(params: Params, tokenizer: Any, records: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Each form's answers beside those of the one it was made from."""
    limit = params.export.check_tokens
    asked = [turns(params.format.instruction, params.format.question, record["title"]) for record in records]
    adapted, merged = (
        [answer.tokens for answer in greedy_answers(model, tokenizer, records, limit, batch_size=1)]
        for model in (load_adapted(BASE, ADAPTER, params.train.four_bit), load_adapted(folder / "merged", None, False))
    )
    checks.same_answers("the merged model", merged, adapted)
    trained = [
        render(tokenizer, one, add_generation_prompt=True).removeprefix(tokenizer.bos_token or "") for one in asked
    ]
    agreements = {}
    for precision in gguf.FILE_TYPES:
        name = f"shelftalk-{precision}.gguf"
        answers = gguf.ask(folder / name, asked, limit)
        checks.same_prompts(name, [answer.prompt for answer in answers], trained)
        agreements[precision] = [answer.tokens for answer in answers]
    checks.same_answers("shelftalk-f16.gguf", agreements["f16"], merged)
    return {
        "prompts": len(records),
        "tokens_per_prompt": limit,
        "merged_agreement": checks.agreement(merged, adapted),
        **{f"gguf_{precision}_agreement": checks.agreement(tokens, merged) for precision, tokens in agreements.items()},
    }


def write_texts(params: Params, tokenizer: Any, folder: Path) -> None:
    """The Modelfile and the model card."""
    prompt = params.format
    template = ollama_template(tokenizer, prompt.question)
    stops = [tokenizer.decode([stop]) for stop in stop_ids(tokenizer)]
    ollama = card.modelfile("shelftalk-q8_0.gguf", template, prompt.instruction, stops, params.generate.max_new_tokens)
    (folder / "Modelfile").write_text(ollama, encoding="utf-8")
    metrics = {stage: read_json(f"metrics/{stage}.json") for stage in ("audit", "train", "evaluate")}
    recipe = card.Recipe(
        base=params.base.source if params.base.source != "hub" else f"{params.base.repository}@{params.base.revision}",
        data=params.data.raw,
        template=prompt.template,
        instruction=prompt.instruction,
        question=prompt.question,
        synthetic=params.base.source == "tiny",
    )
    (folder / "README.md").write_text(card.model_card(recipe, metrics), encoding="utf-8")


if __name__ == "__main__":
    run(main)
