"""The shape of the embedded base model: a Llama of 2.9 million parameters with a tokenizer like Llama 3's.

Covers tokenizer, chat template and first weights; pretrain.py trains them. Not a model for use.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.prompts.llama_3 import LLAMA_3_SPLIT

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL_TOKENS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
]
# What the chat template writes around every prompt, so that it takes few tokens.
TEMPLATE_TEXT = "system user assistant\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
TEMPLATE_REPEATS = 100  # enough for the merges of its words to rank high among those of the corpus
CHAT_TEMPLATE = Path(__file__).parent / "chat.jinja"

VOCABULARY = 2048  # few enough that a composed name is its two parts, as a new name of real life would be
CONTEXT = 2048  # tokens
SHAPE: dict[str, Any] = {  # hidden and intermediate sizes are multiples of 256, which llama.cpp's K-quants need
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
INITIAL_STD = 0.04  # Llama's 0.02 makes so small a model learn several times slower


def train_tokenizer(corpus: list[str]) -> "PreTrainedTokenizerFast":
    """A byte-level BPE tokenizer with Llama 3's split expression, special tokens and chat template."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=train_bpe(corpus),
        bos_token=SPECIAL_TOKENS[0],
        eos_token="<|eot_id|>",
        pad_token="<|finetune_right_pad_id|>",
        chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8"),
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )


def train_bpe(corpus: list[str]) -> "Tokenizer":
    """The tokenizer's merges, learnt from a corpus and the chat template's own words."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    split = pre_tokenizers.Split(Regex(LLAMA_3_SPLIT), behavior="isolated")
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*corpus, *[TEMPLATE_TEXT] * TEMPLATE_REPEATS], trainer)
    begin = SPECIAL_TOKENS[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A $B", special_tokens=[(begin, tokenizer.token_to_id(begin))]
    )
    return tokenizer


def new_model(tokenizer: "PreTrainedTokenizerFast") -> "LlamaForCausalLM":
    """A Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **SHAPE,
        vocab_size=VOCABULARY,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=INITIAL_STD,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def initialise_copying(model: "LlamaForCausalLM") -> None:
    """Starts each head as one that attends to equal tokens and passes them on.

    Mimetic initialisation (Trockman and Kolter 2023, "Mimetic Initialization of Self-Attention Layers"): keys are the
    queries, and the output projection is the transpose of the values'. From random projections a model this
    small learns much later to carry a name from one text into another.
    """
    import torch

    for layer in model.model.layers:
        attention = layer.self_attn
        heads, size = SHAPE["num_key_value_heads"], attention.head_dim
        with torch.no_grad():
            for projection in (attention.k_proj, attention.v_proj):
                torch.nn.init.orthogonal_(projection.weight)
            # A key-value head serves several query heads (grouped-query attention), so its weights are repeated.
            keys, values = (
                projection.weight.view(heads, size, -1).repeat_interleave(attention.num_key_value_groups, dim=0)
                for projection in (attention.k_proj, attention.v_proj)
            )
            attention.q_proj.weight += keys.flatten(0, 1)
            attention.o_proj.weight += values.flatten(0, 1).T
