"""BERTScore: how much of an answer means what its reference means, by the vectors that an encoder gives their tokens.

Covers precision, recall and F1 (Zhang et al. 2020) without weights of rare words (idf) and without rescaling, on the
vectors of the model's last layer: for those of an earlier one, as the authors advise for some models, lower
num_hidden_layers in the folder's config.json. It gives what the bert-score library gives, which is not used: its last
release is of 2023, and under transformers 5 it fails on an empty answer.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from src.inference import refusals
from src.inference.batches import progress_batches

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BATCH = 16  # records whose references, and then each system's answers, are read at once
LONGEST_KNOWN = 10**6  # tokens: a tokenizer without a limit has one of 30 digits
POSITIONS_BEFORE_TEXT = 2  # which RoBERTa's embeddings have, beyond the tokens that it can read


class BertScore(NamedTuple):
    """How similar an answer is to its reference, as a mean cosine."""

    precision: float
    """Of the answer's tokens, each with the most similar one of the reference."""
    recall: float
    """Of the reference's tokens, each with the most similar one of the answer."""
    f1: float


class TokenVectors(NamedTuple):
    """A text as an encoder sees it."""

    vectors: "torch.Tensor"
    """Of length 1, one a token, special tokens included: (tokens, size)."""
    counted: "torch.Tensor"
    """Which tokens are of the text: others are matched with, and do not count."""


class Encoder:
    """A model that gives vectors to the tokens of texts."""

    def __init__(self, folder: Path) -> None:
        """Loads a model.

        Args:
            folder: with config.json, tokenizer and weights in safetensors.

        Raises:
            UserError: if it does not hold a whole model.
        """
        import torch
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        with refusals.explained_encoder(folder):
            self.tokenizer, self.model = load_encoder(folder)
        device: Any = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.to(device)
        limits = self.tokenizer.model_max_length, self.model.config.max_position_embeddings - POSITIONS_BEFORE_TEXT
        self.max_length = limits[0] if limits[0] < LONGEST_KNOWN else limits[1]
        layers = self.model.config.num_hidden_layers
        self.signature = f"model:{folder.resolve().name}|layer:{layers}|idf:no|rescale:no"

    def read(self, texts: Sequence[str]) -> list[TokenVectors]:
        """The vectors of the tokens of each text; a text that is too long is cut off."""
        import torch
        from torch.nn.functional import normalize

        encoded = self.tokenizer(
            [text.strip() for text in texts],
            truncation=True,
            max_length=self.max_length,
            padding=True,
            return_special_tokens_mask=True,
            return_tensors="pt",
        ).to(self.model.device)
        special = encoded.pop("special_tokens_mask").bool()
        with torch.no_grad():
            vectors = normalize(self.model(**encoded).last_hidden_state, dim=-1)
        rows = zip(vectors, special, encoded["attention_mask"].bool(), strict=True)
        return [TokenVectors(each[read], ~skipped[read]) for each, skipped, read in rows]


def load_encoder(folder: Path) -> tuple["PreTrainedTokenizerBase", "PreTrainedModel"]:
    """Tokenizer and model of a folder, in 32 bits.

    Args:
        folder: the model's.

    Raises:
        ValueError: if weights are missing, beside those of the layer on top that no token's vector depends on.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    # RoBERTa's first word is read as any other, with a space before it.
    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, add_prefix_space=True
    )
    model, found = AutoModel.from_pretrained(
        folder,
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
    )
    if missing := sorted(name for name in found["missing_keys"] if "pooler" not in name):
        raise ValueError(f"its weights lack {missing[0]}")
    return tokenizer, model.eval()


def bert_scores(
    encoder: Encoder, answers: Mapping[str, Sequence[str]], references: Sequence[str]
) -> dict[str, list[BertScore]]:
    """BERTScore of every system's answers.

    Args:
        encoder: what reads them.
        answers: by system, one a record.
        references: of the records, in the same order.
    """
    found: dict[str, list[BertScore]] = {name: [] for name in answers}
    for batch in progress_batches(range(len(references)), BATCH, "Comparing meanings", "records"):
        expected = encoder.read([references[number] for number in batch])
        for name, texts in answers.items():
            given = encoder.read([texts[number] for number in batch])
            found[name] += map(compare_vectors, given, expected)
    return found


def compare_vectors(answer: TokenVectors, reference: TokenVectors) -> BertScore:
    """BERTScore of two texts; 0 where one of them has no token.

    Args:
        answer: what is compared.
        reference: with what.
    """
    if not answer.counted.any() or not reference.counted.any():
        return BertScore(0.0, 0.0, 0.0)
    cosines = answer.vectors @ reference.vectors.T
    precision = float(cosines.max(dim=1).values[answer.counted].mean())
    recall = float(cosines.max(dim=0).values[reference.counted].mean())
    both = precision + recall
    return BertScore(precision, recall, 2 * precision * recall / both if both else 0.0)
