"""The loss over a large vocabulary: chunk by chunk, with the gradient computed where the logits are.

Covers the sum of the cross entropy and its gradient for the hidden states. Logits are computed once and never kept, and
the softmax and the gradient take their place; autograd would keep three of them, or compute them again in the backward
pass. Liger and Unsloth do the same by kernels of their own. Import it late: torch comes with it.
"""

from typing import Any

import torch
from torch.nn import Linear


class ChunkedLoss(torch.autograd.Function):
    """Summed cross entropy of tokens in nats: `apply(states, targets, head, size)`.

    The states are [tokens, width], the targets [tokens] and on `size` tokens at a time; the head, the linear map from
    states to logits, is frozen and gets no gradient.
    """

    @staticmethod
    def forward(context: Any, states: torch.Tensor, targets: torch.Tensor, head: Linear, size: int) -> torch.Tensor:
        """The loss; keeps its gradient, as large as the states.

        Args:
            context: autograd's.
            states: hidden states.
            targets: the token to predict from each.
            head: from states to logits.
            size: tokens of a chunk.
        """
        gradient = torch.empty_like(states) if context.needs_input_grad[0] else None
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        for begin in range(0, len(targets), size):
            chunk = slice(begin, begin + size)
            logits, expected = head(states[chunk]), targets[chunk, None]
            loss, probabilities = softmax_loss(logits.float(), expected)
            total += loss
            if gradient is not None:
                probabilities.scatter_add_(1, expected, probabilities.new_full(expected.shape, -1))
                gradient[chunk] = probabilities.to(logits.dtype) @ head.weight
        if gradient is not None:
            context.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(context: Any, *outer: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """The gradient of the states, times that of the loss.

        Args:
            context: what `forward` has kept.
            outer: the gradient of the loss.
        """
        (gradient,) = context.saved_tensors
        return gradient * outer[0].to(gradient.dtype), None, None, None


def softmax_loss(scores: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The summed cross entropy, and the probabilities, which take the place of the scores.

    Args:
        scores: logits in 32 bits, [tokens, vocabulary]; overwritten.
        targets: [tokens, 1].
    """
    scores -= scores.amax(1, keepdim=True)
    expected = scores.gather(1, targets)
    sums = scores.exp_().sum(1, keepdim=True)
    return (sums.log() - expected).sum(), scores.div_(sums)
