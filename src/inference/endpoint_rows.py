"""From an endpoint's answers to rows of data/generations.

Covers the rows alone. Which endpoint answers, and where the rows go, is the stages'.
"""

import json

from src.inference.endpoint import as_turns
from src.inference.engine import Answer, TokenCounts
from src.prompts.rendering import FormattedRecord, reference_text
from src.scoring.generations import Generation


def make_generation(record: FormattedRecord, answer: Answer) -> Generation:
    """An answer beside the reference that it is compared with; an endpoint tells no loss.

    Args:
        record: the formatted record that was asked.
        answer: the endpoint's.
    """
    counted = answer.counted or TokenCounts(0, 0)
    return Generation(
        uid=record["uid"],
        title=record["title"],
        prompt=json.dumps(as_turns(record["prompt"]), ensure_ascii=False),
        answer=answer.text,
        reference=reference_text(record),
        finish_reason=answer.finish_reason,
        prompt_tokens=counted.prompt,
        tokens=counted.answer,
        loss=None,
        loss_tokens=None,
    )
