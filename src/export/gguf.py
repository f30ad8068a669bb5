"""GGUF files, written by llama.cpp's converter.

Covers conversion of a merged model from safetensors in 16 and 8 bits; k_quants.py makes 4 bits of the 16. The converter
is the one that auto-round carries, which needs neither a compiler nor a network. Does not read tokenizers, which
vocabulary.py does, nor run the files, which src/inference/llama_cpp.py does.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.export import refusals, vocabulary
from src.files import read_json
from src.prompts.tokenizer_files import puts_space_after_special, read_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FILE_TYPES = {"f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}  # our names of precisions, and the gguf package's

# The first two write a line for each tensor; auto_round repeats warnings of transformers whose logger is silenced;
# gguf.vocab warns of tokenizers that put a begin token between two texts, as Llama 3's do: no prompt here has two.
TALKATIVE = ("hf-to-gguf", "gguf.gguf_writer", "autoround", "gguf.vocab")


def convert_to_gguf(model: Path, target: Path, precision: str, name: str) -> None:
    """Writes a model as a GGUF.

    Args:
        model: folder of the model and its tokenizer.
        target: the file to write.
        precision: one of FILE_TYPES.
        name: the model's name in the file.

    Raises:
        UserError: if llama.cpp's converter does not know the model's architecture.
    """
    import gguf

    file_type = gguf.LlamaFileType[FILE_TYPES[precision]]
    converter_class(model)(model, file_type, target, model_name=name).write()


def converter_class(model: Path) -> Any:
    """llama.cpp's converter class for the architecture of the model in a folder.

    Raises:
        UserError: if llama.cpp's converter does not know the architecture, or writing, the tokenizer.
    """
    import logging

    known = bundled_class(read_json(model / "config.json")["architectures"][0])
    for logger in TALKATIVE:
        logging.getLogger(logger).setLevel(logging.ERROR)

    class Converter(known):  # type: ignore[misc, valid-type]
        model_arch = known.model_arch

        def set_vocab(self) -> None:
            super().set_vocab()
            tokenizer = read_tokenizer(self.dir_model)
            self.gguf_writer.add_add_bos_token(tokenizer.bos_token is not None)  # as `with_bos` does

        def get_vocab_base_pre(self, tokenizer: "PreTrainedTokenizerFast") -> str:
            known_split = vocabulary.SPLITS.get(vocabulary.split_expression(tokenizer))
            try:
                return known_split or super().get_vocab_base_pre(tokenizer)
            except NotImplementedError:
                raise refusals.unknown_split() from None

        def _set_vocab_sentencepiece(self, *given: Any) -> None:
            super()._set_vocab_sentencepiece(*given)
            self.gguf_writer.add_add_space_prefix(puts_space_after_special(read_tokenizer(self.dir_model)))

        def _create_vocab_sentencepiece(self) -> tuple[list[bytes], list[float], list[int]]:
            steps = read_json(self.dir_model / "tokenizer.json")
            if not vocabulary.has_pieces(steps):
                raise FileNotFoundError  # what the converter expects here of another tokenizer
            return vocabulary.piece_table(steps, self.hparams["vocab_size"])

    return Converter


def bundled_class(architecture: str) -> Any:
    """The class of an architecture in auto-round's copy of llama.cpp's converter.

    Raises:
        UserError: if it has none.
    """
    from auto_round.export.export_to_gguf.llama_cpp_conversion import get_conversion

    conversion = get_conversion()
    if architecture == "Qwen2ForCausalLM":
        return qwen2_class(conversion.module.TextModel)
    try:
        return conversion.get_model_class(architecture)
    except NotImplementedError:
        raise refusals.unknown_architecture(architecture) from None


def qwen2_class(text_model: Any) -> Any:
    """What llama.cpp's converter has for Qwen2.

    Written here since the bundled one (auto-round 0.16.1) shares a file with models that gguf 0.19 does not know, which
    cannot be imported.

    Args:
        text_model: the converter's class for any language model.
    """
    import gguf

    class Qwen2(text_model):
        model_arch = gguf.MODEL_ARCH.QWEN2

        def set_vocab(self) -> None:
            self._set_vocab_gpt2()

    return Qwen2
