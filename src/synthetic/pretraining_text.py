"""The text that the embedded base model is pretrained on: fresh products of the catalogue, told in chats.

A chat puts a description in other words, or names facts of a title. No record of the synthetic sample is in it, and
never a title beside its description: that task is left to fine-tuning.
"""

import random
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from src.prompts.encoding import EncodedRecord
from src.prompts.packing import make_rows
from src.synthetic import raw_file
from src.synthetic.catalogue import Outline, Product, draw_outline, title_facts, write_product

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

DESCRIPTIONS, QUESTIONS = 500, 1000  # of a chunk: what is put in other words, and titles of other products asked about
MOST_FACTS = 4  # that a question on a title asks for
HOUSE_STYLES = 12  # a question follows any of them, its answer the maker's own
TOKENIZER_CHUNKS = 20  # chunks that the tokenizer's merges are learnt from
ROW_TOKENS = 384  # of a row of training, which holds most chats

Chat = tuple[str, str, str]  # the turns of system, user and assistant


def make_chats(seed: int, number: int) -> list[Chat]:
    """Makes the chats of one chunk of the text, in random order.

    Args:
        seed: of the text.
        number: of the chunk, 0 or more; each is drawn on its own, so that training resumes at any of them.

    Returns:
        The chats.
    """
    rng = random.Random(f"{seed}:{number}")  # text as a seed is hashed, so that no chunk continues another
    chats = [paraphrase(rng, draw_outline(rng)) for _ in range(DESCRIPTIONS)]
    # Titles of other products, so that no title has its description anywhere in the chunk.
    chats += [ask_for_facts(rng, draw_outline(rng)) for _ in range(QUESTIONS)]
    rng.shuffle(chats)
    return [chat for chat in chats if held_out_texts().isdisjoint(chat)]


def paraphrase(rng: random.Random, outline: Outline) -> Chat:
    """A chat that puts a description in other words.

    Args:
        rng: draws both wordings.
        outline: what is described.
    """
    question = write_product(rng, replace(outline, style=rng.randrange(HOUSE_STYLES)))
    return "Put the text in other words.", question.content, write_product(rng, outline).content


def ask_for_facts(rng: random.Random, outline: Outline) -> Chat:
    """A chat that names some of the facts that a title states.

    Args:
        rng: draws which.
        outline: of the title.
    """
    facts: dict[str, list[str]] = {}
    for name, value in title_facts(outline):
        facts.setdefault(name, []).append(value)
    asked = rng.sample(list(facts), rng.randint(1, min(MOST_FACTS, len(facts))))
    question = f"Name the {' and the '.join(asked)}."
    return question, write_product(rng, outline).title, "; ".join(" ".join(facts[name]) for name in asked)


@cache
def held_out_texts() -> frozenset[str]:
    """Every title and content of the synthetic sample, before its flaws."""
    sampled: list[Product] = raw_file.draw_products(random.Random(raw_file.SEED), raw_file.RECORDS)
    return frozenset(text for product in sampled for text in (product.title, product.content))


def tokenizer_corpus(seed: int) -> list[str]:
    """The texts that the tokenizer's merges are learnt from."""
    return [text for number in range(TOKENIZER_CHUNKS) for _, *texts in make_chats(seed, number) for text in texts]


def token_rows(tokenizer: "PreTrainedTokenizerFast", chats: list[Chat]) -> "Tensor":
    """Packs chats into rows, whole: an answer that is cut off from its question would teach to guess.

    Args:
        tokenizer: renders the chats and encodes them.
        chats: those longer than a row are left out.

    Returns:
        Token ids, [rows, ROW_TOKENS], with padding tokens at the end of each row.
    """
    import torch

    texts = [render_chat(tokenizer, chat) for chat in chats]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    records = [EncodedRecord(ids, ids) for ids in encoded if len(ids) <= ROW_TOKENS]
    packed = make_rows(records, ROW_TOKENS, packing=True).shuffle(seed=0)["input_ids"]  # packing sorts them by length
    return torch.tensor([ids + [tokenizer.pad_token_id] * (ROW_TOKENS - len(ids)) for ids in packed])


def render_chat(tokenizer: "PreTrainedTokenizerFast", chat: Chat) -> str:
    """Renders a chat in the tokenizer's template, with its special tokens.

    Args:
        tokenizer: holds the template.
        chat: the three turns.
    """
    roles = ("system", "user", "assistant")
    turns = [{"role": role, "content": content} for role, content in zip(roles, chat, strict=True)]
    # The template would write today's date; src/prompts pins the same one.
    return str(tokenizer.apply_chat_template(turns, tokenize=False, date_string="26 Jul 2024"))
