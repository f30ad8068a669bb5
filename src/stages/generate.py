"""Writes answers to the test prompts, and the loss of the references, by the base model or the tuned one.

The results are data/generations/base.jsonl and tuned.jsonl. The base is loaded as it was for training, so that the two
differ in the adapter alone.
"""

from pathlib import Path

from src.files import read_jsonl
from src.inference.engine import Answer, sampling_of
from src.inference.reference_loss import ReferenceLoss, reference_losses
from src.inference.transformers_engine import TransformersEngine
from src.models.loading import load_adapted
from src.numerics import seed_everything
from src.params import Params
from src.prompts.encoding import render_prompt
from src.prompts.rendering import FormattedRecord, reference_text
from src.prompts.tokenizers import load_tokenizer, token_ids
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
    seed_everything(0)  # draws have streams of their own, from generate.seed
    # The adapter's folder has the tokenizer with the template that it was trained in.
    tokenizer = load_tokenizer(adapter or BASE, params.format.template)
    model = load_adapted(BASE, adapter, params.train.four_bit)

    engine = TransformersEngine(model, tokenizer, generate.batch_size)
    answers = engine.answer([record["prompt"] for record in records], sampling_of(generate))
    losses = reference_losses(model, tokenizer, records, params.train.max_length)
    prompts = [render_prompt(tokenizer, record["prompt"]) for record in records]
    lengths = [len(token_ids(tokenizer, prompt)) for prompt in prompts]
    generations = map(make_generation, records, prompts, lengths, answers, losses)
    write_generations(f"data/generations/{variant}.jsonl", generations)

    stopped = sum(answer.finish_reason == "stop" for answer in answers)
    tokens = sum(len(answer.token_ids) for answer in answers)
    return Outcome(
        f"{len(records):,} answers of {tokens:,} tokens, {stopped:,} ended by themselves", {"answer_tokens": tokens}
    )


def make_generation(
    record: FormattedRecord, prompt: str, prompt_tokens: int, answer: Answer, loss: ReferenceLoss
) -> Generation:
    """An answer beside the reference it is compared with.

    Args:
        record: the formatted record that was asked.
        prompt: as the model read it.
        prompt_tokens: how many tokens that is.
        answer: the model's.
        loss: the model's, of the reference.
    """
    return Generation(
        uid=record["uid"],
        title=record["title"],
        prompt=prompt,
        answer=answer.text,
        reference=reference_text(record),
        finish_reason=answer.finish_reason,
        prompt_tokens=prompt_tokens,
        tokens=len(answer.token_ids),
        loss=round(loss.nats, 6),
        loss_tokens=loss.tokens,
    )


if __name__ == "__main__":
    run_stage(main, variants=tuple(ADAPTERS))
