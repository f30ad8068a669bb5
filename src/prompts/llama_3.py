"""How Llama 3's tokenizers split text.

A module of its own, so that the tiny base model, which splits the same way, depends on no template or prompt.
"""

# Llama 3's split expression (the `pre_tokenizer` of its tokenizer.json), which llama.cpp calls llama-bpe.
LLAMA_3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
