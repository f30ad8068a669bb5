"""audit: data/prompts/train.jsonl, models/base/ -> metrics/audit.json, plots/audit/

What the trainer will really see: token lengths, truncation, trained tokens, begin and stop tokens, rows and steps.
Fails, with the reason, before any GPU time is spent.
"""

from src.files import read_jsonl, write_json, write_tsv
from src.params import Params
from src.prompts.audit import audit, refuse
from src.prompts.encoding import load_tokenizer
from src.stages.runner import run


def main(params: Params) -> None:
    """Measures the training prompts and refuses what makes no sense."""
    tokenizer = load_tokenizer("models/base", params.format.template)
    seen = audit(tokenizer, read_jsonl("data/prompts/train.jsonl"), params.train)
    write_json("metrics/audit.json", seen.metrics)
    write_tsv("plots/audit/lengths.tsv", seen.lengths)
    refuse(tokenizer, seen.metrics, params.audit, params.train.max_length)
    print(
        f"{seen.metrics['records']} records in {seen.metrics['rows']} rows, "
        f"{seen.metrics['predicted_steps']} steps; {seen.metrics['trained_token_share']:.0%} of the tokens are trained"
    )


if __name__ == "__main__":
    run(main)
