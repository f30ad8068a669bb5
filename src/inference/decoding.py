"""Decoding of a batch that finished answers leave, so that no time goes into rows that are only padding by then.

Covers the loop over tokens that transformers' `generate` runs in place of its own, with all that it has prepared; its
own goes on with every row until the last one is finished. Loads torch when it is imported: import it late.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.inference.drawing import DrawToken

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import Cache, GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList


def decode_until_finished(
    model: Any,  # a PreTrainedModel, whose private parts `generate` lends to such a loop
    input_ids: Any,  # a Tensor; transformers asks for a LongTensor, which PyTorch no longer makes
    logits_processor: "LogitsProcessorList",
    stopping_criteria: "StoppingCriteriaList",
    generation_config: "GenerationConfig",
    **model_kwargs: Any,
) -> Tensor:
    """The most likely tokens after each prompt, as transformers' greedy search finds them; for `custom_generate`.

    Args:
        model: what is asked.
        input_ids: prompts, padded at the left, [rows, tokens].
        logits_processor: what changes the logits of each token.
        stopping_criteria: what finishes a row.
        generation_config: the settings that `generate` was given.
        **model_kwargs: the cache, the mask and the positions.

    Returns:
        Prompts and answers, those that are shorter padded at the right, [rows, tokens].
    """
    rows = torch.arange(len(input_ids), device=input_ids.device)  # whose answers are not finished
    finished: dict[int, Tensor] = {}
    outputs = model._prefill(input_ids, generation_config, model_kwargs)
    while True:
        model_kwargs = model._update_model_kwargs_for_generation(outputs, model_kwargs)
        logits = outputs.logits[:, -1].to(copy=True, dtype=torch.float32)
        tokens = logits_processor(input_ids, logits).argmax(-1, keepdim=True)
        input_ids = torch.cat([input_ids, tokens], dim=-1)
        done = stopping_criteria(input_ids, None)
        if done.any():
            finished |= dict(zip(rows[done].tolist(), input_ids[done], strict=True))
            left = (~done).nonzero().squeeze(-1)
            rows, input_ids = rows[left], input_ids[left]
            if not len(rows):
                break
            select_rows(model_kwargs, logits_processor, left)
        inputs = model.prepare_inputs_for_generation(input_ids, next_sequence_length=1, **model_kwargs)
        outputs = model(**inputs, return_dict=True)
    ordered = [finished[row] for row in sorted(finished)]
    padding = generation_config.pad_token_id
    return torch.nn.utils.rnn.pad_sequence(ordered, batch_first=True, padding_value=padding)


def select_rows(model_kwargs: dict[str, Any], processors: "LogitsProcessorList", left: Tensor) -> None:
    """Leaves of a batch the rows that are not finished.

    Args:
        model_kwargs: what the model is given beside the tokens; changed in place.
        processors: those that know rows are changed in place.
        left: the places of these rows, [rows].
    """
    rows = len(model_kwargs["attention_mask"])
    for name, value in model_kwargs.items():
        if isinstance(value, Tensor) and value.dim() > 1 and len(value) == rows:
            model_kwargs[name] = value[left]
    model_kwargs["past_key_values"].batch_select_indices(left)
    for processor in processors:
        if isinstance(processor, DrawToken):
            processor.select_rows(left)


def rows_can_leave(model: "PreTrainedModel | PeftModel") -> bool:
    """Whether a model's cache lets single rows go: those of recurrent layers do not."""
    from transformers import DynamicCache

    cache: Cache = DynamicCache(config=model.config)
    return all(hasattr(layer, "batch_select_indices") for layer in cache.layers)
