"""The loss on the completions: computed where a token is trained, and nowhere else.

Covers the loss of a training step and of held-out rows. Does not make batches.
"""

from collections.abc import Iterable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any

from src.models.collation import Row, collate_padded
from src.prompts.encoding import IGNORE_INDEX

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor
    from torch.nn import Linear
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutputWithPast

LOGITS_AT_ONCE = 2**25  # 128 MB in 32 bits; more are computed in chunks
TILE = 256  # tokens that a GPU multiplies at once, at most: of 261, a third of the work would be for nothing


def trained_logits_only(model: "PreTrainedModel | PeftModel") -> None:
    """Makes a causal language model compute logits, and its loss from them, for trained tokens alone.

    Half of the tokens are prompt, whose logits are not needed; over a large vocabulary those of one batch take many
    gigabytes. Models that scale or cap their logits are left as they are.
    """
    causal: Any = getattr(model, "get_base_model", lambda: model)()  # an adapted model wraps it
    config, forward = causal.config.get_text_config(), causal.forward
    if getattr(config, "final_logit_softcapping", None) or getattr(config, "logit_scale", None):
        return

    @wraps(forward)  # the Trainer looks at the signature for what the model takes
    def forward_trained(
        input_ids: "Tensor | None" = None,
        labels: "Tensor | None" = None,
        num_items_in_batch: "Tensor | int | None" = None,
        **inputs: Any,
    ) -> "CausalLMOutputWithPast":
        from transformers.modeling_outputs import CausalLMOutputWithPast

        if labels is None:
            return forward(input_ids=input_ids, **inputs)
        states = causal.base_model(input_ids=input_ids, **inputs).last_hidden_state
        total, tokens = negative_log_likelihood(states, labels, causal.get_output_embeddings())
        loss: Any = total / (tokens if num_items_in_batch is None else num_items_in_batch)
        return CausalLMOutputWithPast(loss=loss)

    causal.forward = forward_trained


def negative_log_likelihood(states: "Tensor", labels: "Tensor", head: "Linear") -> "tuple[Tensor, Tensor]":
    """Summed negative log-likelihood of the trained tokens in nats, and their number.

    Args:
        states: the model's last hidden states, [rows, tokens, width].
        labels: token ids or IGNORE_INDEX, [rows, tokens]; each is predicted from the state before it.
        head: the linear map from states to logits.
    """
    trained = labels[:, 1:] != IGNORE_INDEX
    states, targets = states[:, :-1][trained], labels[:, 1:][trained]
    if len(targets) * head.weight.shape[0] <= LOGITS_AT_ONCE:
        return whole_loss(head, states, targets), trained.sum()
    from src.models.chunked_loss import ChunkedLoss

    return ChunkedLoss.apply(states, targets, head, chunk_tokens(head.weight.shape[0])), trained.sum()


def chunk_tokens(vocabulary: int) -> int:
    """Tokens of a chunk: as many as take the memory of LOGITS_AT_ONCE, in whole tiles where it holds one.

    Args:
        vocabulary: logits of a token.
    """
    tokens = 2 * LOGITS_AT_ONCE // vocabulary  # in a chunk a logit takes 6 bytes instead of 12
    return tokens // TILE * TILE or max(1, tokens)


def whole_loss(head: "Linear", states: "Tensor", targets: "Tensor") -> "Tensor":
    """Summed cross entropy of tokens, in nats.

    Args:
        head: the linear map from states to logits.
        states: hidden states, [tokens, width].
        targets: the tokens to predict from them, [tokens].
    """
    from torch.nn.functional import cross_entropy

    return cross_entropy(head(states).float(), targets, reduction="sum")


def mean_loss(model: "PreTrainedModel | PeftModel", rows: list[Row], pad_id: int, batch_tokens: int = 1) -> float:
    """Mean negative log-likelihood over the trained tokens of all rows, in nats a token.

    Unlike the Trainer's own evaluation, which averages over batches, every token counts the same.

    Args:
        model: a causal language model.
        rows: records, or several packed into a row.
        pad_id: the token to pad with.
        batch_tokens: tokens of a batch at most, padding included; 1 takes a row at a time.
    """
    total, tokens = summed_loss(model, batches_by_length(rows, batch_tokens), pad_id)
    return total / tokens


def summed_loss(model: "PreTrainedModel | PeftModel", batches: Iterable[list[Row]], pad_id: int) -> tuple[float, int]:
    """Negative log-likelihood of the trained tokens of batches of rows, summed in nats, and their number.

    Args:
        model: a causal language model; it is left in the mode, training or evaluation, that it was in.
        batches: rows, by batch.
        pad_id: the token to pad with.
    """
    import torch

    total, tokens, training = 0.0, 0, model.training
    model.eval()
    with torch.no_grad():
        for rows in batches:
            batch = collate_padded(rows, pad_id)
            tokens += int((batch["labels"][:, 1:] != IGNORE_INDEX).sum())
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            # Divided by 1 the loss is the sum, which the model would else divide by this batch's tokens.
            total += model(**batch, use_cache=False, num_items_in_batch=1).loss.item()
    model.train(training)
    return total, tokens


def batches_by_length(rows: list[Row], tokens: int) -> Iterator[list[Row]]:
    """Rows, the longest first, in batches of up to `tokens` tokens, padding included, and of one row at least.

    Args:
        rows: records, or several packed into a row.
        tokens: tokens of a batch at most.
    """
    waiting = sorted(rows, key=lambda row: -len(row["input_ids"]))
    while waiting:
        size = max(1, tokens // len(waiting[0]["input_ids"]))
        yield waiting[:size]
        waiting = waiting[size:]
