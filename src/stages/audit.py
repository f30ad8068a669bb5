"""Measures what the trainer will see of data/prompts with the tokenizer of models/base, and plans the steps.

Writes token lengths, truncation, trained tokens, rows, padding and the memory needed to data/reports/audit.json and
data/tables/audit, the steps to data/training_plan.json. Fails, with every reason, before any GPU time is spent: also
where the trained model could not be exported. With --show it writes nothing and prints training examples, trained
tokens in another colour than masked ones.
"""

import os
import sys
from pathlib import Path

from src.export.early_checks import check_modelfile, check_vocabulary
from src.files import read_json, read_jsonl, write_json, write_tsv
from src.models.processes import launcher_world_size
from src.params import Params
from src.prompts.encoding import encode_record
from src.prompts.tokenizers import load_tokenizer
from src.stages.runner import Outcome, run_stage
from src.training.label_audit import audit_labels
from src.training.memory import choose_optimizer, estimate_memory, memory_by_checkpointing
from src.training.prompt_checks import check_prompts
from src.training.refusals import refuse_beyond_positions, refuse_beyond_window
from src.training.token_view import colour_legend, paint_spans, spread_positions, token_spans

BASE, TRAIN = "models/base", "data/prompts/train.jsonl"
PROMPTS = [TRAIN, "data/prompts/validation.jsonl", "data/prompts/test.jsonl"]  # check_prompts takes the first to train


def main(params: Params) -> Outcome:
    """Refuses prompts that make no sense, measures those that are trained on, plans the steps."""
    config = read_json(f"{BASE}/config.json")
    refuse_beyond_positions(params.train.max_length, config["max_position_embeddings"])
    refuse_beyond_window(params.train.max_length, config)
    tokenizer = load_tokenizer(BASE, params.format.template)
    splits = {path: read_jsonl(path) for path in PROMPTS}
    encoded = check_prompts(tokenizer, splits, params.audit, params.train)
    check_vocabulary(Path(BASE), tokenizer)
    check_modelfile(tokenizer, params.format, (record["title"] for record in splits[PROMPTS[-1]]))
    seen = audit_labels(encoded[TRAIN], params.train, launcher_world_size(params.train.launcher))
    optimizer, row_tokens = choose_optimizer(config, params.train), seen.metrics["row_tokens_max"]
    train = params.train.model_copy(update={"optimizer": optimizer})
    memory = estimate_memory(config, train, row_tokens)

    # What train has to know, in a file of its own, and no more: another estimate of the memory retrains nothing, unless
    # it is another one in whole GB.
    plan = {"steps": seen.metrics["predicted_steps"], "optimizer": optimizer}
    plan["memory_gb"] = memory_by_checkpointing(config, train, row_tokens)
    write_json("data/training_plan.json", plan)
    write_json("data/reports/audit.json", seen.metrics | memory)
    write_tsv("data/tables/audit/lengths.tsv", seen.lengths)
    write_tsv("data/tables/audit/tokens.tsv", seen.tokens)
    return Outcome(
        f"{seen.metrics['records']:,} records in {seen.metrics['rows']:,} rows, {seen.metrics['predicted_steps']:,} "
        f"steps; {seen.metrics['trained_token_share']:.0%} of the tokens are trained; a GPU needs about "
        f"{memory['memory_total_gb']:.2g} GB"
    )


def show_examples(params: Params, count: int) -> None:
    """Prints training examples, from the shortest to the longest, as the trainer will see them.

    Args:
        params: the parameters.
        count: how many, or all where there are fewer.
    """
    tokenizer = load_tokenizer(BASE, params.format.template)
    records, limit = read_jsonl(TRAIN), params.train.max_length
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")  # no-color.org
    print(colour_legend(colours))
    for position in spread_positions(records, count):
        whole = encode_record(tokenizer, records[position])
        beyond = max(0, len(whole.input_ids) - limit)
        print(f"\n{TRAIN}:{position + 1}: {len(whole.input_ids)} tokens, {beyond} beyond train.max_length ({limit})")
        print(paint_spans(token_spans(tokenizer, whole, limit), colours))


if __name__ == "__main__":
    run_stage(main, show=show_examples)
