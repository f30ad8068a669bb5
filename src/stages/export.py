"""Writes models/adapter on models/base into models/export, in the forms that other programs load, each checked.

The forms are the adapter and those of export.formats: merged weights, GGUF in 16, 8 and 4 bits, and the adapter as a
GGUF on one of its base; with them an Ollama Modelfile for the GGUF that the measurements favour. Each is loaded again,
has to read all test prompts as training did and to answer some of them as the adapter does; otherwise nothing is
exported. data/reports/export.json and data/tables/export/forms.tsv have how closely they agree, and what each costs.
"""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from src.export import refusals
from src.export.comparison import Measured, compare_forms, table_lines, table_rows
from src.export.forms import ADAPTER_GGUF, BASE_GGUF, BY_NAME, FORMS, REFERENCE, Form, chosen_ggufs, kept_forms
from src.export.gguf import convert_to_gguf
from src.export.k_quants import write_q4_k_m
from src.export.lora import write_lora_gguf
from src.export.measuring import BATCH, Original, Question, form_bytes, measure_gguf, measure_merged, measure_original
from src.export.merge import merge_adapter
from src.export.modelfile import render_modelfile
from src.export.parity import check_losses, served_form
from src.files import atomic_folder, read_json, read_jsonl, write_json, write_tsv
from src.hosted.exporting import export_nothing
from src.inference.engine import Sampling, sampling_of
from src.inference.transformers_engine import TransformersEngine
from src.models.loading import load_adapted, load_base, stored_quantisation
from src.numerics import seed_everything
from src.params import Params
from src.progress import activity, print_line
from src.prompts.ollama import ollama_template
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import load_tokenizer, stop_texts
from src.serving.note import ServingNote, write_note
from src.stages.runner import Outcome, run_stage

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SERVING_CHECKS = 8  # titles that a server asks both models before it starts
BASE, ADAPTER, EXPORT = Path("models/base"), Path("models/adapter"), Path("models/export")


def main(params: Params) -> Outcome:
    """Exports the chosen forms and checks them; of a hosted model there is none."""
    if nothing := export_nothing(ADAPTER, EXPORT):
        return Outcome(nothing)
    records, formats = read_jsonl("data/prompts/test.jsonl"), params.export.formats
    tokenizer = load_tokenizer(ADAPTER, params.format.template)
    if "merged_16bit" in formats and not has_second_merge(params):
        raise refusals.no_second_merge()
    asked = Question(
        tokenizer,
        records,
        records[: params.export.check_prompts],
        params.format.instruction,
        params.format.question,
        Sampling(params.export.check_tokens),
        params.train.max_length,
    )
    seed_everything(0)  # nothing is drawn: greedy decoding
    with atomic_folder(EXPORT) as folder:
        write_forms(params, tokenizer, folder)
        measured, largest = check_forms(params, asked, folder)
        served = served_form({name: form.agreement for name, form in measured.items()}, chosen_ggufs(formats))
        write_modelfile(params, tokenizer, served, folder)
        titles = [record["title"] for record in asked.checked[:SERVING_CHECKS]]
        write_note(folder, serving_note(params, titles))
        remove_others(formats, folder)
    counts = {"prompts": len(asked.checked), "prompts_read": len(records), "merged_loss_difference": largest}
    return report(counts, measured, served)


def serving_note(params: Params, check_titles: list[str]) -> ServingNote:
    """What a server has to know.

    Args:
        params: the parameters.
        check_titles: test titles on which base and tuned model have to differ.
    """
    form, sampling = params.format, sampling_of(params.generate)
    shown = form.context_records if form.context == "retrieved" else 0
    return ServingNote(form.instruction, form.question, sampling, check_titles, shown, form.context_chars)


def report(counts: dict[str, float], measured: Mapping[str, Measured], served: Form) -> Outcome:
    """Writes the report and the table, and prints both with what differs between two runs.

    Args:
        counts: figures of the whole.
        measured: of each form, by name.
        served: the one that the Modelfile takes.
    """
    forms = compare_forms(measured)
    speeds = {name: form.speed for name, form in measured.items() if form.speed}
    second = {f"{name}_loss_difference": forms[name]["loss_difference"] for name in forms if name == "merged_16bit"}
    write_json("data/reports/export.json", {**counts, **second, "forms": forms, "modelfile": served.name})
    write_tsv("data/tables/export/forms.tsv", table_rows(forms))
    for line in table_lines(forms, speeds):
        print_line(line)
    return Outcome(
        f"the merged weights find every reference as likely as the adapter, within {counts['merged_loss_difference']} "
        f"nats a token; the forms were compared on {counts['prompts']} prompts; the Modelfile takes {served.name}",
        {"forms": {name: speed._asdict() for name, speed in speeds.items()}},
    )


def has_second_merge(params: Params) -> bool:
    """Whether there are 16-bit weights of the base beside the 4-bit ones that the adapter was trained on."""
    return params.train.four_bit and not stored_quantisation(BASE)


def write_forms(params: Params, tokenizer: "PreTrainedTokenizerBase", folder: Path) -> None:
    """Writes the chosen forms, and those that they are made from or compared with.

    Args:
        params: the parameters.
        tokenizer: the adapter's, with the chat template.
        folder: an empty one.
    """
    formats, merged = params.export.formats, folder / "merged"
    shutil.copytree(ADAPTER, folder / "adapter")
    with activity("Merging the adapter into its base"):
        merge_adapter(BASE, ADAPTER, params.train.four_bit).save_pretrained(merged)
    save_tokenizer(tokenizer, merged)
    for name in [form.name for form in chosen_ggufs([REFERENCE, *formats])]:
        target = folder / BY_NAME[name].files[0]
        with activity(f"Converting to {target.name}"):
            if name == "q4_k_m":
                write_q4_k_m(folder / BY_NAME[REFERENCE].files[0], read_json(merged / "config.json"), target)
            else:
                convert_to_gguf(merged, target, name, "Shelftalk")
    if "lora" in formats:
        write_adapter_form(params, tokenizer, folder)


def write_adapter_form(params: Params, tokenizer: "PreTrainedTokenizerBase", folder: Path) -> None:
    """Writes the adapter as a GGUF, and the base that it belongs on, so that one model in memory is both.

    Args:
        params: the parameters.
        tokenizer: the adapter's, with the chat template.
        folder: where both go.
    """
    write_lora_gguf(ADAPTER, BASE, folder / ADAPTER_GGUF)
    with activity(f"Converting to {BASE_GGUF}"), TemporaryDirectory(dir=folder) as base:
        load_base(BASE, params.train.four_bit, exact=True).half().save_pretrained(base)
        save_tokenizer(tokenizer, Path(base))
        convert_to_gguf(Path(base), folder / BASE_GGUF, "q8_0", "Shelftalk's base")


def write_modelfile(params: Params, tokenizer: "PreTrainedTokenizerBase", served: Form, folder: Path) -> None:
    """Writes the Modelfile.

    Args:
        params: the parameters.
        tokenizer: the adapter's, with the chat template.
        served: the GGUF that it takes.
        folder: where that file is.
    """
    template, stops = ollama_template(tokenizer, params.format.question), stop_texts(tokenizer)
    sampling = sampling_of(params.generate)
    modelfile = render_modelfile(served.files[0], template, params.format.instruction, stops, sampling)
    (folder / "Modelfile").write_text(modelfile, encoding="utf-8")


def check_forms(params: Params, asked: Question, folder: Path) -> tuple[dict[str, Measured], float]:
    """Compares each form with the adapter on its base.

    Args:
        params: the parameters.
        asked: what each is asked.
        folder: what `write_forms` filled.

    Returns:
        What was measured of each form, by name in the order of the table; and the largest difference of any
        reference's loss that merging made, in nats a token.

    Raises:
        UserError: naming the first form that differs by more than rounding explains.
    """
    # One after the other: in 32 bits two models need not fit the memory.
    adapted = load_adapted(BASE, ADAPTER, params.train.four_bit, exact=True)
    original = measure_original(TransformersEngine(adapted, asked.tokenizer, BATCH), asked)
    del adapted
    measured = {"adapter": Measured(original.losses, 1.0, form_bytes(BY_NAME["adapter"], folder))}
    if has_second_merge(params):
        measured["merged_16bit"] = measure_second_merge(params, asked, original, folder)
    merged = TransformersEngine(
        load_adapted(folder / "merged", None, four_bit=False, exact=True), asked.tokenizer, BATCH
    )
    measured["merged"] = measure_merged(merged, asked, original, form_bytes(BY_NAME["merged"], folder))
    largest = check_losses("the merged model", measured["merged"].losses, original.losses)
    for form in FORMS:
        if form.files[-1].endswith(".gguf") and (folder / form.files[-1]).exists():
            measured[form.name] = measure_gguf(form, folder, asked, original, merged)
    return {form.name: measured[form.name] for form in FORMS if form.name in measured}, largest


def measure_second_merge(params: Params, asked: Question, original: Original, folder: Path) -> Measured:
    """What the adapter merged into the base's 16-bit weights gives, which it was not trained on; written where chosen.

    Args:
        params: the parameters.
        asked: what it is asked.
        original: what the adapter gives on the 4-bit weights.
        folder: where it goes.
    """
    form = BY_NAME["merged_16bit"]
    target = folder / form.files[0]
    merge_adapter(BASE, ADAPTER, four_bit=False).save_pretrained(target)
    save_tokenizer(asked.tokenizer, target)
    model = load_adapted(target, None, four_bit=False, exact=True)
    return measure_merged(TransformersEngine(model, asked.tokenizer, BATCH), asked, original, form_bytes(form, folder))


def remove_others(formats: Collection[str], folder: Path) -> None:
    """Removes the forms that were made for others alone.

    Args:
        formats: export.formats.
        folder: where they are.
    """
    kept = kept_forms(formats)
    for name in (name for form in FORMS if form not in kept for name in form.files):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


if __name__ == "__main__":
    run_stage(main)
