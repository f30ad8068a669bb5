"""Writes answers to the test prompts, and the loss of the references, by the base model or the tuned one.

The results are data/generations/base.jsonl and tuned.jsonl. The base is loaded as it was for training, so that the two
differ in the adapter alone. Interrupted, it goes on after the batches that it had answered. Where train.endpoint names
a service, both are asked there, and no loss is told.
"""

from collections.abc import Sequence
from pathlib import Path

from src.files import read_jsonl
from src.hosted.answering import answer_hosted
from src.inference.engine import sampling_of
from src.inference.generating import describe_generations, generate_and_measure
from src.inference.kept_answers import KeptFolder
from src.inference.transformers_engine import TransformersEngine
from src.models.loading import load_adapted
from src.numerics import seed_everything
from src.params import Params
from src.prompts.tokenizers import load_tokenizer
from src.scoring.generations import Generation, write_generations
from src.stages.runner import Outcome, run_stage

BASE, ADAPTERS = Path("models/base"), {"base": None, "tuned": Path("models/adapter")}


def main(params: Params, variant: str) -> Outcome:
    """Answers generate.records test prompts with the base model or the tuned one.

    Args:
        params: the parameters.
        variant: a key of ADAPTERS.
    """
    generate, adapter = params.generate, ADAPTERS[variant]
    records = read_jsonl("data/prompts/test.jsonl")[: generate.records or None]
    if params.train.endpoint.address:
        answered = answer_hosted(params.train.endpoint, variant, adapter, records, sampling_of(generate))
        return write_answers(variant, answered)
    seed_everything(0)  # draws have streams of their own, from generate.seed
    # The adapter's folder has the tokenizer with the template that it was trained in.
    tokenizer = load_tokenizer(adapter or BASE, params.format.template)
    model = load_adapted(BASE, adapter, params.train.four_bit)
    engine = TransformersEngine(model, tokenizer, generate.batch_size)

    kept = KeptFolder("generate", params, variant)
    generations = generate_and_measure(
        engine, records, sampling_of(generate), params.train.max_length, kept.answers_of(variant)
    )
    outcome = write_answers(variant, generations)
    kept.remove()  # not before the file is in place
    return outcome


def write_answers(variant: str, generations: Sequence[Generation]) -> Outcome:
    """Writes a model's answers.

    Args:
        variant: a key of ADAPTERS.
        generations: the answers.
    """
    write_generations(f"data/generations/{variant}.jsonl", generations)
    return Outcome(describe_generations(generations), {"answer_tokens": sum(row.tokens for row in generations)})


if __name__ == "__main__":
    run_stage(main, variants=tuple(ADAPTERS))
