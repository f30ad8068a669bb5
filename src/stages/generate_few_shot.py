"""Writes the base model's answers to the test prompts after a few training records: the alternative to training it.

The result is data/generations/few_shot.jsonl. The examples are the same in every prompt. Interrupted, it goes on after
the batches that it had answered.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.files import read_json, read_jsonl
from src.hosted.answering import answer_hosted
from src.inference.engine import sampling_of
from src.inference.generating import describe_generations, generate_and_measure
from src.inference.kept_answers import KeptFolder
from src.inference.transformers_engine import TransformersEngine
from src.models.loading import load_adapted
from src.numerics import seed_everything
from src.params import Params
from src.prompts.encoding import encode_prompt
from src.prompts.few_shot import choose_examples, refuse_long_prompts, with_examples
from src.prompts.rendering import FormattedRecord
from src.prompts.tokenizers import load_tokenizer
from src.scoring.generations import write_generations
from src.stages.runner import Outcome, run_stage

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BASE, SYSTEM = Path("models/base"), "few_shot"


def main(params: Params) -> Outcome:
    """Answers generate.records test prompts, each after generate.few_shot examples, with the base model."""
    generate, length = params.generate, params.train.max_length
    records = read_jsonl("data/prompts/test.jsonl")[: generate.records or None]
    tokenizer = load_tokenizer(BASE, params.format.template)
    examples = choose_examples(tokenizer, read_jsonl("data/prompts/train.jsonl"), generate.few_shot, length)
    asked = [{**record, "prompt": with_examples(examples, record["prompt"])} for record in records]
    if params.train.endpoint.address:
        answered = answer_hosted(params.train.endpoint, SYSTEM, None, asked, sampling_of(generate))
        write_generations(f"data/generations/{SYSTEM}.jsonl", answered)
        return Outcome(f"{describe_generations(answered)}, after {len(examples)} examples")
    lengths = prompt_lengths(tokenizer, asked)
    refuse_long_prompts(
        max(lengths), generate.max_new_tokens, read_json(BASE / "config.json")["max_position_embeddings"]
    )

    seed_everything(0)
    engine = TransformersEngine(load_adapted(BASE, None, params.train.four_bit), tokenizer, generate.batch_size)
    kept = KeptFolder("generate_few_shot", params)
    # The examples come on top: of each reference as many tokens count as for the base and the tuned model.
    shown = lengths[0] - prompt_lengths(tokenizer, records[:1])[0]
    generations = generate_and_measure(engine, asked, sampling_of(generate), length + shown, kept.answers_of(SYSTEM))
    write_generations(f"data/generations/{SYSTEM}.jsonl", generations)
    kept.remove()  # not before the file is in place
    line = f"{describe_generations(generations)}, after {len(examples)} examples of {shown:,} tokens"
    return Outcome(line, {"answer_tokens": sum(row.tokens for row in generations)})


def prompt_lengths(tokenizer: "PreTrainedTokenizerBase", records: Sequence[FormattedRecord]) -> list[int]:
    """The tokens of each record's prompt."""
    return [len(encode_prompt(tokenizer, record["prompt"])) for record in records]


if __name__ == "__main__":
    run_stage(main)
