"""The Python lines of a model card: what loads a base and its adapter as they were trained, and asks them.

Covers transformers, peft and bitsandbytes, the libraries that the adapter was trained with. A test runs the lines.
"""

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from src.inference.engine import Sampling

if TYPE_CHECKING:
    from src.models.base_note import BaseNote

IMPORTS = {
    "nf4": "from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig",
    "stored": "from transformers import AutoModelForCausalLM, AutoTokenizer",
    "none": "from transformers import AutoModelForCausalLM, AutoTokenizer",
}
NF4 = """nf4 = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.{dtype}
)
"""
ASK = """tokenizer = AutoTokenizer.from_pretrained({adapter})
turns = [
    {{"role": "system", "content": {instruction}}},
    {{"role": "user", "content": {question}}},
]
prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**prompt.to(model.device), {decoding})
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))"""


class Loading(NamedTuple):
    """What the lines load and ask."""

    base: "BaseNote"
    place: str
    """Where the base is: a hub's repository, or a folder."""
    adapter: str
    """The adapter's folder, or its repository."""
    instruction: str
    question: str
    """Holds {title} once."""
    sampling: Sampling


def loading_lines(loading: Loading, title: str) -> str:
    """A Python program that prints the answer to a title, as the model was evaluated.

    Args:
        loading: what it loads and asks.
        title: a product's.
    """
    quantisation, dtype = loading.base["quantisation"], loading.base["dtype"]
    imports = f"import torch\nfrom peft import PeftModel\n{IMPORTS[quantisation]}\n\n"
    nf4 = NF4.format(dtype=dtype) if quantisation == "nf4" else ""
    ask = ASK.format(
        adapter=quoted(loading.adapter),
        instruction=quoted(loading.instruction),
        question=quoted(loading.question.replace("{title}", title)),
        decoding=decoding_options(loading.sampling),
    )
    return f"{imports}{nf4}{base_line(loading)}\n{adapter_line(loading)}\n{ask}"


def decoding_options(sampling: Sampling) -> str:
    """How the answers were drawn, in the words of transformers' `generate`."""
    drawn = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
    options: dict[str, Any] = {"do_sample": True, **drawn} if sampling.temperature > 0 else {"do_sample": False}
    if sampling.repetition_penalty != 1:
        options["repetition_penalty"] = sampling.repetition_penalty
    options["max_new_tokens"] = sampling.max_new_tokens
    return ", ".join(f"{name}={value}" for name, value in options.items())


def quoted(text: str) -> str:
    """A text as Python writes it, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def base_line(loading: Loading) -> str:
    """The line that loads the base."""
    base = loading.base
    revision = [f"revision={quoted(base['revision'])}"] if base["revision"] else []
    quantised = ["quantization_config=nf4"] if base["quantisation"] == "nf4" else []
    options = ", ".join([quoted(loading.place), *revision, *quantised, f"dtype=torch.{base['dtype']}"])
    return f"base = AutoModelForCausalLM.from_pretrained({options})"


def adapter_line(loading: Loading) -> str:
    """The line that puts the adapter on the base.

    On a CPU our own loading keeps the 4-bit weights as float32: bitsandbytes would round them again where the processor
    multiplies bfloat16.
    """
    unpacked = loading.base["quantisation"] != "none" and loading.base["dtype"] == "float32"
    base = "base.dequantize(torch.float32)" if unpacked else "base"
    return f"model = PeftModel.from_pretrained({base}, {quoted(loading.adapter)})"
