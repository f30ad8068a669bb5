"""The tiny base model: a Llama of a few million parameters, pretrained here in about a minute on two cores.

Covers its tokenizer, its pretraining text and its weights. The text comes from the catalogue under another seed than
the sample's, without the few records that both would hold. The model learns the language of the contents, the turns of
a chat, and to put a content in other words; it never sees a title beside its content: that task is left to
fine-tuning. Not a model for use.
"""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.export.gguf import LLAMA_3_SPLIT
from src.synthetic import raw_file
from src.synthetic.catalogue import Product, draw_outline, write_product

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor
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

VOCABULARY = 4096
CONTEXT = 2048  # tokens
SHAPE: dict[str, Any] = {  # hidden and intermediate sizes are multiples of 256, which llama.cpp's K-quants need
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
INITIAL_STD = 0.04  # Llama's 0.02 makes so small a model learn several times slower

PRODUCTS = 8000  # to pretrain on
SEED_OFFSET = 1_000_000  # keeps the products apart from the sample's and the tests', whose seeds are small
ROW_TOKENS, ROWS = 256, 4  # of a training step
PEAK_LEARNING_RATE = 4e-3


def build_tiny_model(folder: Path, steps: int, seed: int) -> None:
    """Trains tokenizer and model, and saves them as transformers does, in 32-bit safetensors.

    Seed the generators before (numerics.seed_everything): the weights and the order of the rows are drawn from them.

    Args:
        folder: an existing one.
        steps: of pretraining.
        seed: of the pretraining text.
    """
    paraphrases = generate_paraphrases(seed)
    tokenizer = train_tokenizer(
        [product.title for product, _ in paraphrases] + [product.content for product, _ in paraphrases]
    )
    model = new_model(tokenizer)
    initialise_copying(model)
    pretrain_model(model, token_rows(tokenizer, pretraining_documents(tokenizer, paraphrases)), steps)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def generate_paraphrases(seed: int) -> list[tuple[Product, Product]]:
    """Products that the synthetic sample does not have, each described twice."""
    rng = random.Random(SEED_OFFSET + seed)
    sampled = raw_file.draw_products(random.Random(raw_file.SEED), raw_file.RECORDS)
    held_out = {text for product in sampled for text in (product.title, product.content)}
    outlines = (draw_outline(rng) for _ in range(PRODUCTS))
    pairs = [(write_product(rng, outline), write_product(rng, outline)) for outline in outlines]
    return [pair for pair in pairs if all(held_out.isdisjoint((one.title, one.content)) for one in pair)]


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
    queries, and the output projection is the transpose of the values'. From random projections the model would not
    learn within the minute to carry a name from one text into another.
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


def pretraining_documents(
    tokenizer: "PreTrainedTokenizerFast", paraphrases: list[tuple[Product, Product]]
) -> Iterator[str]:
    """Renders the pretraining text: chats that put a content in other words, or repeat an unrelated product's title.

    Args:
        tokenizer: renders the chats.
        paraphrases: products, each described twice.

    Yields:
        One chat after the other.
    """
    titles = [product.title for product, _ in paraphrases]
    for (one, other), title in zip(paraphrases, titles[1:] + titles[:1], strict=True):
        yield render_chat(tokenizer, "Put the text in other words.", one.content, other.content)
        yield render_chat(tokenizer, "Repeat the text.", title, title)


def render_chat(tokenizer: "PreTrainedTokenizerFast", instruction: str, question: str, answer: str) -> str:
    """Renders one exchange in the chat template.

    Args:
        tokenizer: holds the template.
        instruction: the system turn.
        question: the user's turn.
        answer: the assistant's turn.

    Returns:
        The text with its special tokens.
    """
    roles = {"system": instruction, "user": question, "assistant": answer}
    turns = [{"role": role, "content": content} for role, content in roles.items()]
    # The template would write today's date; src/prompts pins the same one.
    return str(tokenizer.apply_chat_template(turns, tokenize=False, date_string="26 Jul 2024"))


def token_rows(tokenizer: "PreTrainedTokenizerFast", documents: Iterable[str]) -> "Tensor":
    """Encodes the documents as one stream of tokens, split into rows; the last tokens that fill none are left out.

    Args:
        tokenizer: encodes them.
        documents: with their special tokens.

    Returns:
        Token ids, [rows, ROW_TOKENS].
    """
    import torch

    stream = [token for ids in tokenizer(list(documents), add_special_tokens=False)["input_ids"] for token in ids]
    return torch.tensor(stream[: len(stream) // ROW_TOKENS * ROW_TOKENS]).view(-1, ROW_TOKENS)


def pretrain_model(model: "LlamaForCausalLM", rows: "Tensor", steps: int) -> None:
    """Trains all weights on next-token prediction, ROWS rows a step.

    Args:
        model: changed in place.
        rows: token ids, [rows, ROW_TOKENS]; used again in the same order where the steps need more.
        steps: of the optimiser.
    """
    import torch
    from tqdm import trange
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=steps // 20, num_training_steps=steps)
    order = torch.randperm(len(rows))
    progress = trange(steps, desc="Pretraining the tiny model", mininterval=5)
    for step in progress:
        batch = rows[order[torch.arange(step * ROWS, (step + 1) * ROWS) % len(rows)]]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        progress.set_postfix(loss=f"{loss.item():.2f}", refresh=False)
