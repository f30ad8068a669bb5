"""What a GGUF tells of SentencePiece's pieces: their text, their scores by the order of the merges, their types."""

from typing import Any

from gguf import TokenType

from src.export.vocabulary import has_pieces, merge_ranks, piece_table

MERGES = [["▁", "a"], ["b", "c"], ["▁a", "bc"], ["▁ab", "c"]]
STEPS: dict[str, Any] = {
    "model": {
        "byte_fallback": True,
        "unk_token": "<unk>",
        "vocab": {"<unk>": 0, "<0x0A>": 1, "▁": 2, "a": 3, "b": 4, "c": 5, "▁a": 6, "bc": 7, "▁abc": 8},
        "merges": MERGES,
    },
    "added_tokens": [
        {"id": 0, "content": "<unk>", "special": True},
        {"id": 9, "content": "</s>", "special": True},
        {"id": 10, "content": "▁▁x", "special": False},
    ],
}


def test_a_piece_ranks_by_its_first_merge() -> None:
    expected = {"▁a": 0, "bc": 1, "▁abc": 2}
    assert merge_ranks(MERGES) == merge_ranks([" ".join(pair) for pair in MERGES]) == expected


def test_pieces_are_listed_by_their_ids() -> None:
    tokens, scores, types = piece_table(STEPS, size=12)
    assert [token.decode() for token in tokens[6:]] == ["▁a", "bc", "▁abc", "</s>", "  x", "[PAD11]"]
    assert scores[6:9] == [0, -1, -2] and set(scores[1:6]) == {-3}
    expected = [TokenType.UNKNOWN, TokenType.BYTE, *[TokenType.NORMAL] * 7, TokenType.CONTROL, TokenType.USER_DEFINED]
    assert types == [*expected, TokenType.UNUSED]


def test_a_byte_level_tokenizer_has_no_pieces() -> None:
    assert has_pieces(STEPS)
    assert not has_pieces({"model": {"byte_fallback": False}}) and not has_pieces({"model": {}})
