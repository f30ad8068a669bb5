"""What a GGUF tells about a tokenizer, so that llama.cpp splits text as its tokenizer.json does.

Covers the name of a byte-level tokenizer's split, and the pieces and scores of a SentencePiece tokenizer. Does not
write files: gguf.py does.
"""

import json
import re
from typing import TYPE_CHECKING, Any

from src.prompts.llama_3 import LLAMA_3_SPLIT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# llama.cpp's names of the expressions by which tokenizers split text before their merges. Its converter knows published
# tokenizers by a hash; one that was trained here is known by its expression.
QWEN_2_SPLIT = LLAMA_3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
SPLITS = {LLAMA_3_SPLIT: "llama-bpe", QWEN_2_SPLIT: "qwen2"}

BYTE = re.compile("<0x[0-9A-F]{2}>")  # a piece that stands for a byte

Steps = dict[str, Any]  # what tokenizer.json holds
PieceTable = tuple[list[bytes], list[float], list[int]]  # text, score and llama.cpp's type of each token


def split_expression(tokenizer: "PreTrainedTokenizerFast") -> str:
    """The expression by which a tokenizer splits text before its merges; empty if its first step is another one."""
    steps = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"] or {}
    first = steps.get("pretokenizers", [{}])[0]
    return first.get("pattern", {}).get("Regex") or ""


def has_pieces(steps: Steps) -> bool:
    """Whether a tokenizer is one of SentencePiece: it falls back on bytes where it has no piece."""
    return bool(steps["model"].get("byte_fallback"))


def piece_table(steps: Steps, size: int) -> PieceTable:
    """A SentencePiece tokenizer's tokens by their ids, in the form of llama.cpp's converter.

    The converter reads scores from tokenizer.model, which some models lack, or gives every token the same one. A score
    tells nothing but which pieces are merged first, so it follows from the order of the merges that training used.

    Args:
        steps: what tokenizer.json holds.
        size: rows of the model's embedding; those without a token get names that no text has.
    """
    from gguf import TokenType

    tokens = [f"[PAD{number}]".encode() for number in range(size)]
    scores, types = [0.0] * size, [int(TokenType.UNUSED)] * size
    ranks, added = merge_ranks(steps["model"]["merges"]), {token["content"]: token for token in steps["added_tokens"]}
    for piece, number in (steps["model"]["vocab"] | {name: token["id"] for name, token in added.items()}).items():
        types[number] = piece_type(piece, added.get(piece), steps["model"].get("unk_token"))
        scores[number] = -float(ranks.get(piece, len(ranks)))
        # llama.cpp looks for these in the text as it was before spaces were replaced.
        tokens[number] = (piece.replace("▁", " ") if types[number] == TokenType.USER_DEFINED else piece).encode()
    return tokens, scores, types


def merge_ranks(merges: list[Any]) -> dict[str, int]:
    """How early each piece is merged, from 0.

    Args:
        merges: pairs, or texts of two parts with a space between them, the first merge first.
    """
    ranks: dict[str, int] = {}
    for merge in merges:
        ranks.setdefault("".join(merge.split(" ") if isinstance(merge, str) else merge), len(ranks))
    return ranks


def piece_type(piece: str, added: Steps | None, unknown: str | None) -> int:
    """llama.cpp's type of a token.

    Args:
        piece: its text.
        added: what tokenizer.json tells of it, if it is no piece of the text.
        unknown: the token that stands for what the tokenizer does not know.
    """
    from gguf import TokenType

    if piece == unknown:
        return TokenType.UNKNOWN
    if added:
        return TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    return TokenType.BYTE if BYTE.fullmatch(piece) else TokenType.NORMAL
