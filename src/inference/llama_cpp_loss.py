"""How likely llama.cpp finds the references, and whether it ends an answer at the token that training ended them by.

Covers single records, as reference_loss.py does for transformers. llama.cpp's server tells how likely a token was when
it chooses it, not of a text that is given. So it is made to choose the reference: by a grammar of its tokens, up to the
next one that a grammar cannot ask for. Such are the stop token and those that end within a letter, as in emoji.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from src.inference import refusals
from src.inference.batches import progress_batches
from src.inference.engine import Sampling
from src.inference.llama_cpp import CONTEXT, LlamaCppEngine
from src.inference.reference_loss import ReferenceLoss
from src.prompts.encoding import IGNORE_INDEX, encode_record
from src.prompts.rendering import FormattedRecord
from src.prompts.tokenizers import stop_token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORCED = 10_000.0  # added to a logit, above any other; the likelihoods told are those before
NO_LETTER = "\ufffd"  # what a tokenizer decodes a part of a letter to


class Reference(NamedTuple):
    """A record's prompt and reference as llama.cpp is made to write it."""

    token_ids: list[int]
    prompt_length: int

    @property
    def reference(self) -> list[int]:
        """The tokens whose likelihood is measured."""
        return self.token_ids[self.prompt_length :]


def llama_cpp_losses(
    engine: LlamaCppEngine, tokenizer: "PreTrainedTokenizerBase", records: Sequence[FormattedRecord], max_length: int
) -> list[ReferenceLoss]:
    """The loss of each record's own completion, in their order, as `reference_losses` gives it for transformers.

    Args:
        engine: the GGUF in llama.cpp.
        tokenizer: the one of training, in whose tokens llama.cpp reads.
        records: prompts and completions.
        max_length: tokens that a record is truncated to, as in training; no more than llama.cpp's context holds.

    Raises:
        UserError: if llama.cpp does not end an answer at the stop token.
    """
    measure = ForcedReferences(engine, tokenizer)
    length = min(max_length, CONTEXT)
    batches = progress_batches(records, 1, f"Measuring the loss by {engine.name}", "records")
    return [measure.loss(encode_reference(tokenizer, record, length)) for (record,) in batches]


def encode_reference(tokenizer: "PreTrainedTokenizerBase", record: FormattedRecord, max_length: int) -> Reference:
    """A record in tokens.

    Args:
        tokenizer: the one of training.
        record: prompt and completion.
        max_length: tokens that both are truncated to.
    """
    encoded = encode_record(tokenizer, record, max_length)
    return Reference(list(encoded.input_ids), sum(label == IGNORE_INDEX for label in encoded.labels))


class ForcedReferences:
    """Makes llama.cpp write references, and reads how likely it found their tokens.

    Args:
        engine: the GGUF in llama.cpp.
        tokenizer: the one of training.
    """

    def __init__(self, engine: LlamaCppEngine, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.engine, self.size, self.stops = engine, len(tokenizer), stop_token_ids(tokenizer)
        self.decode = tokenizer.decode

    def loss(self, reference: Reference) -> ReferenceLoss:
        """The loss of one reference.

        Raises:
            UserError: if llama.cpp does not end an answer at the stop token.
        """
        nats = sum(self.run_nats(reference, start, end) for start, end in self.runs(reference))
        return ReferenceLoss(nats, len(reference.reference))

    def runs(self, reference: Reference) -> Iterator[tuple[int, int]]:
        """Where the parts of a reference begin and end that are asked for at once."""
        start = reference.prompt_length
        while start < len(reference.token_ids):
            rest = enumerate(reference.token_ids[start:], start)
            end = next((at for at, token in rest if not self.fits_grammar(token)), len(reference.token_ids))
            yield start, max(end, start + 1)
            start = max(end, start + 1)

    def fits_grammar(self, token: int) -> bool:
        """Whether a grammar can ask for a token: after a stop token it has ended, and it reads whole letters."""
        return token not in self.stops and NO_LETTER not in self.decode([token])

    def run_nats(self, reference: Reference, start: int, end: int) -> float:
        """The loss of one part of a reference.

        Args:
            reference: the whole.
            start: where the part begins.
            end: where it ends; a token that fits no grammar is a part of its own.
        """
        tokens, before = reference.token_ids[start:end], reference.token_ids[:start]
        again = start > reference.prompt_length  # llama.cpp has read what is before
        if self.fits_grammar(tokens[0]):
            chosen = self.choose(before, again, end - start, grammar=token_grammar(tokens), n_probs=1)
        elif tokens[0] in self.stops:
            chosen = self.choose(before, again, 1, logit_bias=[[tokens[0], FORCED]], n_probs=1)
        else:  # llama.cpp's answer leaves out a part of a letter, but not from the list of what else it could choose
            others = self.choose(before, again, 1, logit_bias=[[self.stops[0], FORCED]], n_probs=self.size)
            chosen = [each for each in others[0]["top_logprobs"] if each["id"] == tokens[0]]
        if [each["id"] for each in chosen] != tokens:
            raise refusals.unforced_reference(self.engine.name)
        return -sum(each["logprob"] for each in chosen)

    def choose(self, before: list[int], again: bool, count: int, **options: Any) -> list[dict[str, Any]]:
        """What llama.cpp chooses, and how likely it found that.

        Args:
            before: tokens.
            again: whether they begin as those of the last request.
            count: tokens to choose.
            options: of the request, that make it choose.
        """
        body = {**self.engine.options(Sampling(count)), "samplers": [], "prompt": before, "cache_prompt": again}
        with self.engine.server.request("/completion", body | options, timeout=None) as response:
            answer = json.load(response)
        if "logit_bias" in options and answer["stop_type"] != "eos":
            raise refusals.missing_stop(self.engine.name)
        return list(answer["completion_probabilities"])


def token_grammar(tokens: Sequence[int]) -> str:
    """A grammar of llama.cpp's that allows these tokens alone, in this order."""
    return f"root ::= {' '.join(f'<[{token}]>' for token in tokens)}"
