"""Writes the answers of the exported GGUF files to the test prompts, and the loss of the references, by llama.cpp.

The results are data/generations/exports/f16.jsonl and so on, a file for each GGUF in models/export, so that the
evaluation tells what its rounding costs. Interrupted, it goes on after the last answer.
"""

from pathlib import Path

from src.export.forms import chosen_ggufs
from src.files import atomic_folder, read_jsonl
from src.hosted.exporting import answer_nothing
from src.inference.answering import answer_prompts
from src.inference.engine import sampling_of
from src.inference.generating import describe_generations, make_generations
from src.inference.kept_answers import KeptFolder
from src.inference.llama_cpp import LlamaCppEngine
from src.inference.llama_cpp_loss import llama_cpp_losses
from src.params import Params
from src.prompts.tokenizers import load_tokenizer
from src.scoring.generations import write_generations
from src.stages.runner import Outcome, run_stage

EXPORT, GENERATIONS = Path("models/export"), Path("data/generations/exports")


def main(params: Params) -> Outcome:
    """Answers generate.records test prompts with every exported GGUF of the whole model."""
    if nothing := answer_nothing(EXPORT, GENERATIONS):
        return Outcome(nothing)
    generate, found = params.generate, {}
    records = read_jsonl("data/prompts/test.jsonl")[: generate.records or None]
    prompts = [record["prompt"] for record in records]
    # The export stage has made sure that llama.cpp reads all prompts in this tokenizer's tokens.
    tokenizer = load_tokenizer(EXPORT / "adapter", params.format.template)
    kept = KeptFolder("generate_exports", params)
    with atomic_folder(GENERATIONS) as folder:
        for form in chosen_ggufs(params.export.formats):
            engine, label = LlamaCppEngine(EXPORT / form.files[0]), f"Answering by {form.files[0]}"
            answers = answer_prompts(engine, prompts, sampling_of(generate), kept.answers_of(form.name), label)
            losses = llama_cpp_losses(engine, tokenizer, records, params.train.max_length)
            found[form.name] = make_generations(tokenizer, records, answers, losses)
            write_generations(folder / f"{form.name}.jsonl", found[form.name])
    kept.remove()  # not before the files are in place
    told = (f"{system}: {describe_generations(generations)}" for system, generations in found.items())
    tokens = sum(row.tokens for generations in found.values() for row in generations)
    return Outcome("; ".join(told), {"answer_tokens": tokens})


if __name__ == "__main__":
    run_stage(main)
