"""Answers of a model that transformers runs in this process, on the device that the model is on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from src.inference.answering import answer_prompts
from src.inference.engine import Answer, Sampling
from src.prompts.encoding import encode_prompt
from src.prompts.rendering import Prompt
from src.prompts.tokenizers import stop_token_ids

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase


class TransformersEngine(NamedTuple):
    """A loaded model and its tokenizer as an engine."""

    model: "PreTrainedModel | PeftModel"
    tokenizer: "PreTrainedTokenizerBase"
    batch_size: int
    """Prompts answered at once."""

    def answer(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Answer]:
        """An answer to each prompt, in their order.

        Args:
            prompts: turns, or text without the begin-of-text token.
            sampling: how the answers are drawn.

        Raises:
            UserError: if the model's chat template refuses the turns.
        """
        return answer_prompts(self, prompts, sampling)

    def batches(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Prompts of about equal length, which need little padding; the longest first, which need the most memory."""
        lengths = [len(encode_prompt(self.tokenizer, prompt)) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda number: -lengths[number])
        return [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]

    def answer_batch(self, batch: Sequence[tuple[int, Prompt]], sampling: Sampling) -> list[Answer]:
        """Answers to prompts that are answered at once.

        Args:
            batch: prompts with their numbers, as many as fit the memory.
            sampling: how the answers are drawn.
        """
        from src.inference.decoding import decode_until_finished, rows_can_leave
        from src.inference.drawing import drawing_processors

        numbers, prompts = zip(*batch, strict=True)
        config = generation_config(self.tokenizer, sampling)
        self.model.generation_config = config  # generate() fills what is not set from here: no sampling of the base's
        encoded = {"input_ids": [encode_prompt(self.tokenizer, prompt) for prompt in prompts]}
        inputs = self.tokenizer.pad(encoded, padding_side="left", return_tensors="pt").to(self.model.device)
        output = self.model.generate(  # type: ignore[operator]  # typed as a Tensor
            **inputs,
            generation_config=config,
            logits_processor=drawing_processors(sampling, numbers),
            custom_generate=decode_until_finished if rows_can_leave(self.model) else None,
        )
        generated = output[:, inputs["input_ids"].shape[1] :]
        stops = stop_token_ids(self.tokenizer)
        return [read_answer(self.tokenizer, token_ids, stops) for token_ids in generated.tolist()]


def generation_config(tokenizer: "PreTrainedTokenizerBase", sampling: Sampling) -> "GenerationConfig":
    """transformers' settings for greedy decoding up to the template's stop tokens; drawing.py draws where it is asked.

    Args:
        tokenizer: with a pad token that is not a stop token.
        sampling: what is asked for; the base model's own settings are ignored.
    """
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False,
        repetition_penalty=sampling.repetition_penalty,
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=stop_token_ids(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
    )


def read_answer(tokenizer: "PreTrainedTokenizerBase", generated: list[int], stops: list[int]) -> Answer:
    """The answer in generated tokens.

    Args:
        tokenizer: what the tokens are of.
        generated: token ids; those after the first stop token are padding.
        stops: the token ids that end an answer.
    """
    end = next((index for index, token in enumerate(generated) if token in stops), None)
    return Answer(
        text=str(tokenizer.decode(generated[:end], skip_special_tokens=True)).strip(),
        token_ids=generated[:end],
        finish_reason="length" if end is None else "stop",
    )
