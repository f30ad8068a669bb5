"""The embedded base model: a Llama of a few million parameters, pretrained here in about a minute on two cores.

Covers its tokenizer, its pretraining text and its weights. The text comes from the catalogue under another seed than
the sample's, less the few records both hold. The model learns the language of descriptions, the turns of a chat, and to
put a description in other words; it never sees a title beside its description, which is the task left to fine-tuning.
Not a model for use.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.prompts.llama_3 import LLAMA_3_SPLIT
from src.synthetic import raw_file
from src.synthetic.catalogue import Product, draw_outline, write_product

SPECIAL_TOKENS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
]
VOCABULARY = 4096
SHAPE: dict[str, Any] = {  # hidden and intermediate sizes are multiples of 256, which llama.cpp's K-quants need
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CHAT_TEMPLATE = Path(__file__).parent / "chat.jinja"
PRODUCTS = 8000
ROW_TOKENS, ROWS = 256, 4
PEAK_LEARNING_RATE = 4e-3
INITIAL_SPREAD = 0.04  # Llama's 0.02 makes so small a model learn several times slower


def build_tiny_model(folder: Path, steps: int, seed: int) -> None:
    """Trains tokenizer and model and saves them in `folder` as transformers does, in 32-bit safetensors."""
    wordings = generate_paraphrases(seed)
    tokenizer = train_tokenizer(
        [product.title for product, _ in wordings] + [product.content for product, _ in wordings]
    )
    model = new_model(tokenizer)
    imitate_copying(model)
    pretrain_model(model, token_rows(tokenizer, pretraining_documents(tokenizer, wordings)), steps)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def generate_paraphrases(seed: int) -> list[tuple[Product, Product]]:
    """Products that the embedded sample does not have, each described twice."""
    generator = random.Random(1_000_000 + seed)
    sampled = raw_file.draw_products(random.Random(raw_file.SEED), raw_file.RECORDS)
    held_out = {text for product in sampled for text in (product.title, product.content)}
    outlines = (draw_outline(generator) for _ in range(PRODUCTS))
    pairs = [(write_product(generator, one), write_product(generator, one)) for one in outlines]
    return [pair for pair in pairs if all(held_out.isdisjoint((one.title, one.content)) for one in pair)]


def train_tokenizer(corpus: list[str]) -> Any:
    """A byte-level BPE tokenizer with Llama 3's split expression, special tokens and chat template."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

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
    frame = "system user assistant\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
    tokenizer.train_from_iterator([*corpus, *[frame] * 100], trainer)
    begin = SPECIAL_TOKENS[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A $B", special_tokens=[(begin, tokenizer.token_to_id(begin))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token="<|eot_id|>",
        pad_token="<|finetune_right_pad_id|>",
        chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8"),
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )


def new_model(tokenizer: Any) -> Any:
    """A Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **SHAPE,
        vocab_size=VOCABULARY,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=INITIAL_SPREAD,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def imitate_copying(model: Any) -> None:
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
            keys, values = (
                projection.weight.view(heads, size, -1).repeat_interleave(attention.num_key_value_groups, dim=0)
                for projection in (attention.k_proj, attention.v_proj)
            )
            attention.q_proj.weight += keys.flatten(0, 1)
            attention.o_proj.weight += values.flatten(0, 1).T


def pretraining_documents(tokenizer: Any, wordings: list[tuple[Product, Product]]) -> Iterator[str]:
    """Pretraining text: chats that put a description in other words, or repeat the title of an unrelated product."""
    titles = [product.title for product, _ in wordings]
    for (one, other), title in zip(wordings, titles[1:] + titles[:1], strict=True):
        yield render_chat(tokenizer, "Put the text in other words.", one.content, other.content)
        yield render_chat(tokenizer, "Repeat the text.", title, title)


def render_chat(tokenizer: Any, instruction: str, question: str, answer: str) -> str:
    """One exchange in the chat template, on the date it falls back to."""
    roles = {"system": instruction, "user": question, "assistant": answer}
    turns = [{"role": role, "content": content} for role, content in roles.items()]
    return tokenizer.apply_chat_template(turns, tokenize=False, date_string="26 Jul 2024")


def token_rows(tokenizer: Any, corpus: Iterator[str]) -> Any:
    """The corpus as one stream of tokens, cut into rows: a tensor [rows, ROW_TOKENS]."""
    import torch

    stream = [token for ids in tokenizer(list(corpus), add_special_tokens=False)["input_ids"] for token in ids]
    return torch.tensor(stream[: len(stream) // ROW_TOKENS * ROW_TOKENS]).view(-1, ROW_TOKENS)


def pretrain_model(model: Any, rows: Any, steps: int) -> None:
    """Trains all weights on next-token prediction, ROWS rows a step, over the corpus as often as the steps ask."""
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
