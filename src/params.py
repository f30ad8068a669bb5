"""The typed schema of params.yaml: reading, checking, and laying a recipe over it.

Covers what single values may be and which values contradict each other. Does not look at files or at hardware: the
stages do, when they come to it. Imports nothing heavy, so that a check takes a second.

    python -m src.params check          # params.yaml, every recipe and DVC's remotes, all faults at once
    python -m src.params recipe         # the recipes, a line each
    python -m src.params recipe NAME    # put the defaults, and recipes/NAME.yaml over them, into params.yaml
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from src.credentials import holds_credential, remote_credentials, typed_credentials
from src.errors import UserError
from src.files import atomic_file
from src.modelfile_text import lost_by_ollama

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PARAMS, RECIPES, PIPELINE = Path("params.yaml"), Path("recipes"), Path("dvc.yaml")
DEFAULTS = RECIPES / "defaults.yaml"  # every parameter, as the first run has it; recipes are laid over these
SHOWN_CHARS = 80  # of a value in a sentence

# Upper bounds are beyond what makes sense, so that a slip of the hand is not found by a full memory hours later.
Share = Annotated[float, Field(ge=0, le=1)]
HeldOutShare = Annotated[float, Field(gt=0, le=0.5)]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrAll = Annotated[int, Field(ge=0, le=10**9)]
BatchSize = Annotated[int, Field(ge=1, le=10_000)]
Tokens = Annotated[int, Field(ge=1, le=2**20)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # numpy's generators take no more
Text = Annotated[str, Field(min_length=1)]

# The base model's own template, and the files of src/prompts/templates/.
TemplateName = Literal["chat", "alpaca", "plain"]

# What matches a pattern, in words for who set something else: the description. The launcher has to name the number of
# processes, on which the steps of training depend.
Language = Annotated[
    str, Field(pattern=r"^(any|[a-z]{2})$", description="any, or the two small letters of a language, such as en")
]
# Options of accelerate by name, each with its value: another word could be a script to run. Those that differ between
# machines (--machine_rank, --main_process_ip) are left to src/training/machines.py.
LAUNCHER_FLAG = r"multi[_-]gpu|use[_-]fsdp|same[_-]network"
LAUNCHER_OPTION = (
    r"num[_-]machines|main[_-]process[_-]port|gpu[_-]ids|mixed[_-]precision|dynamo[_-]backend|"
    r"rdzv[_-]backend|fsdp[_-][a-z_-]+"
)
LAUNCHER_WORDS = rf"( --({LAUNCHER_FLAG})| --({LAUNCHER_OPTION})[= ][\w.,]+)*"
Launcher = Annotated[
    str,
    Field(
        pattern=rf"^(python|accelerate launch{LAUNCHER_WORDS} --num[_-]processes[= ][1-9]\d*{LAUNCHER_WORDS}) -m$",
        description="python -m, or accelerate launch --num_processes 2 -m, with a number of devices and known options",
    ),
]

# Names of systems that are no endpoints, and keys beside systems in reports/evaluate.json.
RESERVED = frozenset(
    {
        *("base", "tuned", "few_shot", "nearest", "title", "reference"),
        *("f16", "bf16", "f32", "q8_0", "q4_k_m"),
        *("records", "interval", "difference", "judge"),
    }
)
EndpointName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$",
        description="a name of letters, digits, - and _, a letter first, at most 40",
    ),
]
Address = Annotated[
    str,
    Field(
        pattern=r"^https?://(\[::1\]|[\w.-]+)(:\d{1,5})?(/[\w.~%/-]*)?$",
        description="an address such as https://api.openai.com/v1, without a key, user or question mark in it",
    ),
]
# In capitals, so that a key that is set here by mistake is refused.
KeyVariable = Annotated[
    str,
    Field(
        pattern=r"^([A-Z][A-Z0-9_]*)?$",
        description='the name, in capitals, of the environment variable that holds the key, or "" for none',
    ),
]
ServiceAddress = Annotated[
    str,
    Field(
        pattern=r"^(https?://(\[::1\]|[\w.-]+)(:\d{1,5})?(/[\w.~%/-]*)?)?$",
        description="an address such as https://api.openai.com/v1, without key, user or question mark, or '' for none",
    ),
]
Suffix = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9-]{0,64}$",
        description="letters, digits and - for the name of the tuned model, at most 64, or '' for none",
    ),
]
LARGEST_HOSTED_SEED = 2**31 - 1  # of OpenAI's API
NEVER_SHOWN = frozenset({"address", "key_variable"})  # what may hold a key by mistake


class Section(BaseModel):
    """One section of params.yaml: no key may be missing, unknown or of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ColumnParams(Section):
    """data.columns: what the raw file calls them."""

    uid: str
    title: Text
    content: Text


class DataParams(Section):
    raw: Text
    columns: Annotated[ColumnParams, Field(description="the file's columns of uid, title and content")]
    lines: CountOrAll
    max_rejected_share: Share
    min_title_chars: Count
    min_content_chars: Count


class CleanParams(Section):
    entities: bool
    mojibake: bool
    controls: bool
    unicode: bool
    markup: bool
    urls: bool
    emails: bool
    boilerplate: bool
    glued: bool
    ascii: bool
    spaces: bool
    markup_titles: bool
    content_is_title: bool
    language: Language
    duplicates: Literal["keep", "exact", "near"]
    near_threshold: Annotated[float, Field(ge=0.5, le=1)]


class SampleParams(Section):
    parts: Count
    part: Count
    pool: CountOrAll
    records: CountOrAll
    quantiles: Annotated[int, Field(ge=1, le=20)]
    topics: Annotated[int, Field(ge=1, le=50)]
    validation_share: HeldOutShare
    test_share: HeldOutShare
    seed: Seed


class FormatParams(Section):
    template: TemplateName
    instruction: Text
    question: Text
    context: Literal["none", "retrieved"]
    context_records: Annotated[int, Field(ge=1, le=20)]
    context_chars: Annotated[int, Field(ge=20, le=100_000)]
    openai: bool


class BaseParams(Section):
    source: Literal["local", "hub"]
    repository: Text
    revision: Text
    folder: Text


class AuditParams(Section):
    max_truncated_share: Share


class ServiceParams(Section):
    """train.endpoint: where a hosted model is trained, and answers; without an address there is none."""

    address: ServiceAddress
    model: str
    key_variable: KeyVariable


class HostedParams(Section):
    """train.hosted: the hyperparameters of OpenAI's supervised method; 0 leaves one to the service."""

    epochs: Annotated[int, Field(ge=0, le=50)]
    batch_size: Annotated[int, Field(ge=0, le=256)]
    lr_multiplier: Annotated[float, Field(ge=0, le=100)]
    suffix: Suffix


class TrainParams(Section):
    backend: Literal["auto", "transformers", "unsloth", "openai"]
    endpoint: ServiceParams
    hosted: HostedParams
    price: Annotated[float, Field(ge=-1, le=10**6)]
    max_cost: Annotated[float, Field(ge=0, le=10**9)]
    launcher: Launcher
    four_bit: bool
    max_length: Annotated[int, Field(ge=16, le=2**20)]
    packing: bool
    attention: Literal["auto", "sdpa", "eager", "varlen", "flash_attention_2", "flex_attention"]
    compile: Annotated[Literal["auto", True, False], Field(description="auto, true or false")]
    deterministic: bool
    rounds: Annotated[int, Field(ge=1, le=1000)]
    epochs: Annotated[float, Field(gt=0, le=1000)]
    max_steps: CountOrAll
    batch_size: BatchSize
    accumulation: BatchSize
    lr: Annotated[float, Field(gt=0, le=1)]
    scheduler: Literal["cosine", "linear", "constant_with_warmup"]
    warmup_steps: CountOrAll
    optimizer: Literal["auto", "paged_adamw_8bit", "adamw_8bit", "adamw_torch"]
    weight_decay: Share
    max_grad_norm: Annotated[float, Field(gt=0, le=1000)]
    lora_r: Annotated[int, Field(ge=1, le=1024)]
    lora_alpha: Annotated[int, Field(ge=1, le=4096)]
    lora_dropout: Annotated[float, Field(ge=0, lt=1)]
    gradient_checkpointing: Annotated[
        Literal["auto", True, "alternate", False], Field(description="auto, true, alternate or false")
    ]
    log_steps: Count
    eval_steps: Count
    eval_records: CountOrAll
    early_stopping: CountOrAll
    best_checkpoint: bool
    save_steps: Count
    report_to: Literal["none", "tensorboard", "wandb", "dvclive"]
    seed: Seed


class GenerateParams(Section):
    records: CountOrAll
    max_new_tokens: Tokens
    temperature: Annotated[float, Field(ge=0, le=10)]
    top_k: Annotated[int, Field(ge=0, le=10**6)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    repetition_penalty: Annotated[float, Field(ge=0.1, le=10)]
    seed: Seed
    batch_size: BatchSize
    few_shot: Annotated[int, Field(ge=1, le=100)]


class EndpointParams(Section):
    """An entry of evaluate.endpoints."""

    name: EndpointName
    address: Address
    model: Text
    key_variable: KeyVariable


class EvaluateParams(Section):
    bertscore: Text
    endpoints: list[EndpointParams]
    judge: str
    judge_records: CountOrAll


class ExportParams(Section):
    formats: list[Literal["merged", "merged_16bit", "f16", "q8_0", "q4_k_m", "lora"]] = Field(
        description="a list of merged, merged_16bit, f16, q8_0, q4_k_m and lora"
    )
    check_prompts: Count
    check_tokens: Tokens


class Params(Section):
    """The whole of params.yaml, one field a section."""

    data: DataParams
    clean: CleanParams
    sample: SampleParams
    format: FormatParams
    base: BaseParams
    audit: AuditParams
    train: TrainParams
    generate: GenerateParams
    evaluate: EvaluateParams
    export: ExportParams


def load_params() -> Params:
    """Reads and checks params.yaml.

    Raises:
        UserError: naming every fault with its line.
    """
    document = read_yaml(PARAMS)
    if found := list(find_faults(document, str(PARAMS))):
        raise UserError("\n".join(found))
    return Params.model_validate(plain_values(document))


def params_for_stage(stage: str) -> Params:
    """The parameters that `stage` declares in dvc.yaml; reading any other raises AttributeError.

    Raises:
        UserError: if params.yaml has faults, all of them named.
    """
    whole = load_params()
    sections: dict[str, dict[str, Any]] = {}
    for section, key in declared_params(stage):
        sections.setdefault(section, {})[key] = getattr(getattr(whole, section), key)
    # Not validated again: a section that lacks the keys of other stages would be refused.
    types: dict[str, Any] = {name: field.annotation for name, field in Params.model_fields.items()}
    return Params.model_construct(**{name: types[name].model_construct(**keys) for name, keys in sections.items()})


def declared_params(stage: str) -> list[tuple[str, str]]:
    """The (section, key) pairs that `stage` declares in dvc.yaml; a section without a key means all its keys."""
    entries = [entry.partition(".") for entry in stage_definition(stage).get("params", [])]
    return [(section, key) for section, _, name in entries for key in ([name] if name else section_keys(section))]


def stage_outputs(stage: str) -> list[str]:
    """The files and folders that `stage` declares as outputs in dvc.yaml, with `${key}` where a variant's name goes."""
    definition = stage_definition(stage)
    entries = [*definition.get("outs", []), *definition.get("metrics", []), *definition.get("plots", [])]
    return [str(next(iter(entry)) if isinstance(entry, dict) else entry) for entry in entries]


def stage_definition(stage: str) -> dict[str, Any]:
    """What dvc.yaml says of `stage`, of a `foreach` what it repeats."""
    try:
        definition = read_yaml(PIPELINE)["stages"][stage]
    except (KeyError, TypeError):
        raise UserError(f"{PIPELINE} has no stage {stage}: restore it (`git checkout {PIPELINE}`).") from None
    return dict(definition.get("do", definition))


def section_keys(section: str) -> list[str]:
    """The keys of a section, in the order of the schema."""
    return list(getattr(Params.model_fields[section].annotation, "model_fields", {}))


def read_yaml(path: Path) -> CommentedMap:
    """A YAML mapping with its comments and line numbers (YAML 1.2, so that 1e-5 is a number).

    Raises:
        UserError: if the file is missing, cannot be read or is not a mapping.
    """
    try:
        document = YAML().load(path.read_text(encoding="utf-8"))
        plain_values(document)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run from the project's root, or restore it with git.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): restore it with git.") from None
    except RecursionError:
        raise UserError(f"{path}: is nested too deep: write `section:` and indented `key: value` lines.") from None
    except (YAMLError, ValueError, TypeError, AttributeError) as error:  # the parser's own, on odd numbers and tags
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = (str(getattr(error, "problem", error)).splitlines() or [""])[0]
        raise UserError(f"{path}{line}: is not valid YAML ({reason}): correct that line.") from None
    if not isinstance(document, CommentedMap):
        raise UserError(f"{path}: has no sections: it needs `section:` lines with indented `key: value` lines below.")
    return document


def plain_values(document: Any) -> Any:
    """The values of a YAML document without ruamel's wrappers, which strict types would refuse."""
    if isinstance(document, dict):
        return {str(key): plain_values(value) for key, value in document.items()}
    if isinstance(document, list):
        return [plain_values(value) for value in document]
    for kind in (bool, int, float, str):  # bool first, since a bool is an int too
        if isinstance(document, kind):
            return kind(document)
    return document


def find_faults(document: CommentedMap, name: str) -> Iterator[str]:
    """One sentence for each fault of a document: what was set, why it fails, what to change.

    Args:
        document: params.yaml, or a recipe laid over it.
        name: the file as the sentences name it.
    """
    values = plain_values(document)
    try:
        Params.model_validate(values)
    except ValidationError as error:
        yield from (f"{name}:{line_number(document, fault['loc'])}: {explain_fault(fault)}" for fault in error.errors())
    for location, sentence in (*find_contradictions(values), *typed_credentials(values)):
        yield f"{name}:{line_number(document, location)}: {sentence}"


def explain_fault(fault: "ErrorDetails") -> str:
    """A pydantic error as a sentence with its fix."""
    path, given = ".".join(map(str, fault["loc"])), fault["input"]
    if fault["type"] == "extra_forbidden":
        return f"{path} is not a known parameter: {suggest_name(fault['loc'])}."
    if fault["type"] == "missing":
        return f"{path} is missing: add it, `git diff {PARAMS}` shows the value it had."
    if fault["type"] == "float_type" and isinstance(given, str) and re.fullmatch(r"[\d.]+e[-+]?\d+", given):
        return f"{path} is the text {given!r}: write it as a number without quotes, such as 1.0e-5."
    wanted = describe_type(fault["loc"]) or fault["msg"].removeprefix("Input should be ")
    shown = "set to something else" if fault["loc"][-1] in NEVER_SHOWN else shown_value(given)
    return f"{path} is {shown}, and must be {wanted}: change it."


def shown_value(value: object) -> str:
    """A value as a sentence shows it, cut off where it is long; what may be a key or a password is not shown."""
    shown = repr(value)
    if holds_credential(shown):
        return "what looks like a key or a password"
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}…"


def describe_type(location: tuple[Any, ...]) -> str | None:
    """What a parameter may be in words, where its type has a description."""
    *sections, key = location
    if isinstance(key, int) and not fields_at(location):
        return describe_type(tuple(sections))
    if isinstance(key, int):
        return f"an entry with {', '.join(fields_at(location))}"
    field = fields_at(tuple(sections)).get(key)
    return field.description if field else None


def fields_at(location: tuple[Any, ...]) -> dict[str, "FieldInfo"]:
    """The fields of the whole, of a section, or of an entry in a list; none of what has no fields."""
    annotation: Any = Params
    for key in location:
        annotation = get_args(annotation)[0] if isinstance(key, int) else annotation.model_fields[key].annotation
    return dict(getattr(annotation, "model_fields", {}))


def suggest_name(location: tuple[Any, ...]) -> str:
    """The closest known name for a misspelt section or key."""
    known = list(fields_at(location[:-1]))
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"write {close[0]}" if close else f"remove it, known are {', '.join(known)}"


def find_contradictions(values: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Where single values are fine and together make no sense, as location and sentence."""
    sections = (values.get(section) for section in ("data", "base", "sample", "format", "train"))
    data, base, sample, prompt, train = (section if isinstance(section, dict) else {} for section in sections)
    yield from column_conflicts(data.get("columns"))
    yield from base_conflicts(base)
    yield from prompt_conflicts(prompt)
    yield from endpoint_conflicts(values.get("evaluate"))
    yield from format_conflicts(values.get("export"))
    if train.get("backend") == "unsloth":
        yield from unsloth_conflicts(train)
    yield from hosted_conflicts(train)
    yield from sample_conflicts(sample)


def column_conflicts(columns: Any) -> Iterator[tuple[tuple[str, str], str]]:
    """One column as the source of two, as location and sentence."""
    if isinstance(columns, dict) and len({*map(str, columns.values())}) < len(columns):
        yield (
            ("data", "columns"),
            f"data.columns is {shown_value(columns)}: name a column of its own for each of uid, title and content.",
        )


def prompt_conflicts(prompt: dict[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """A question without the title, and texts that no Modelfile can hold, as location and sentence."""
    if str(prompt.get("question", "{title}")).count("{title}") != 1:
        yield (
            ("format", "question"),
            f"format.question is {shown_value(prompt.get('question'))} and has to hold {{title}} once: "
            "put it in the title's place.",
        )
    if lost := lost_by_ollama(str(prompt.get("instruction"))):
        yield (
            ("format", "instruction"),
            f"format.instruction has {lost}, which Ollama does not read from a Modelfile, so that it would ask "
            "otherwise than training did: leave it out, or write it otherwise.",
        )


def sample_conflicts(sample: dict[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """Parts, pools and shares that leave nothing to draw, as location and sentence."""
    part, parts, pool, records = (sample.get(key) for key in ("part", "parts", "pool", "records"))
    if isinstance(part, int) and isinstance(parts, int) and part > parts:
        yield ("sample", "part"), f"sample.part is {part} of sample.parts {parts}: set it to {parts} or less."
    if isinstance(pool, int) and isinstance(records, int) and 0 < pool < records:
        yield (
            ("sample", "pool"),
            f"sample.pool is {pool}, fewer than sample.records {records}: raise it, or set it to 0.",
        )
    shares: list[Any] = [sample.get("validation_share"), sample.get("test_share")]
    if all(isinstance(share, int | float) for share in shares) and sum(shares) >= 0.9:
        yield ("sample", "test_share"), f"sample.validation_share and test_share add up to {sum(shares)}: leave some."


def base_conflicts(base: dict[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """A repository or a revision that no hub has, as location and sentence."""
    if base.get("source") != "hub":
        return
    if not re.fullmatch(r"[0-9a-f]{40}", str(base.get("revision"))):
        yield (
            ("base", "revision"),
            f"base.revision is {shown_value(base.get('revision'))}, which can change under you: "
            "set the commit hash of 40 hexadecimal digits that the repository's page shows.",
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(base.get("repository"))):
        yield (
            ("base", "repository"),
            f"base.repository is {shown_value(base.get('repository'))}: write it as owner/name.",
        )


def endpoint_conflicts(evaluate: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Names of endpoints that are taken, and a judge that is none of them, as location and sentence."""
    section = evaluate if isinstance(evaluate, dict) else {}
    listed, judge = section.get("endpoints"), section.get("judge")
    entries = [entry if isinstance(entry, dict) else {} for entry in listed] if isinstance(listed, list) else []
    names = [str(entry.get("name")) for entry in entries]
    for number, name in enumerate(names):
        taken = RESERVED | {other.lower() for other in names[:number]}  # a file's name may have no case
        if name.lower() in taken:
            yield (
                ("evaluate", "endpoints", number),
                f"evaluate.endpoints.{number}.name is {name!r}, which another system has: choose another name.",
            )
    if isinstance(judge, str) and judge and judge not in names:
        yield (
            ("evaluate", "judge"),
            f"evaluate.judge is {shown_value(judge)}, and evaluate.endpoints has no such name: add that endpoint, or "
            "set evaluate.judge to '' for no judge.",
        )


def format_conflicts(export: Any) -> Iterator[tuple[tuple[str, str], str]]:
    """A list of formats that no Modelfile can be made of, or that names one twice, as location and sentence."""
    formats = export.get("formats") if isinstance(export, dict) else None
    if not isinstance(formats, list):
        return
    if not {"f16", "q8_0", "q4_k_m"}.intersection(map(str, formats)):
        yield (
            ("export", "formats"),
            f"export.formats is {shown_value(formats)}, and the Modelfile and generate_exports need a GGUF of the "
            "whole model: add f16, q8_0 or q4_k_m.",
        )
    if len(set(map(str, formats))) < len(formats):
        yield ("export", "formats"), f"export.formats is {shown_value(formats)}: name each form once."


def unsloth_conflicts(train: dict[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """What the unsloth backend cannot honour, as location and sentence."""
    only: dict[str, tuple[list[Any], str]] = {
        "attention": (["auto"], "which brings its own kernels"),
        "compile": (["auto", False], "which compiles by itself"),
        "gradient_checkpointing": (["auto", True, False], "which checkpoints all layers or none"),
        "launcher": (["python -m"], "which trains in one process, on one GPU"),
    }
    for key, (values, reason) in only.items():
        if train.get(key, values[0]) not in values:
            yield (
                ("train", key),
                f"train.{key} is {yaml_literal(train[key])} with train.backend 'unsloth', {reason}: "
                f"set train.{key} to {yaml_literal(values[0])}, or train.backend to transformers.",
            )


def hosted_conflicts(train: dict[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """What of the parameters for a hosted model does not fit together, as location and sentence."""
    given = train.get("endpoint")
    endpoint = given if isinstance(given, dict) else {}
    if train.get("backend") != "openai":
        if endpoint.get("address"):
            yield (
                ("train", "endpoint"),
                f"train.endpoint has an address, and train.backend is {train.get('backend')!r}, which trains here: set "
                "train.backend to openai, or train.endpoint.address to ''.",
            )
        return
    if not endpoint.get("address") or not endpoint.get("model"):
        yield (
            ("train", "endpoint"),
            "train.endpoint lacks its address or its model, and train.backend is 'openai', which trains there: set "
            "both, or train.backend to transformers.",
        )
    seed = train.get("seed")
    if isinstance(seed, int) and seed > LARGEST_HOSTED_SEED:
        yield (
            ("train", "seed"),
            f"train.seed is {seed}, and train.backend 'openai' takes seeds up to {LARGEST_HOSTED_SEED}: lower it.",
        )
    for key, value in (("launcher", "python -m"), ("report_to", "none")):
        if train.get(key, value) != value:
            yield (
                ("train", key),
                f"train.{key} is {shown_value(train[key])}, and with train.backend 'openai' nothing is trained here: "
                f"set it to {value}.",
            )


def yaml_literal(value: object) -> str:
    """A value as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def line_number(document: CommentedMap, location: tuple[Any, ...]) -> int:
    """The line of a parameter, counted from 1; that of its section where the key is missing.

    Args:
        document: with line numbers, as `read_yaml` gives it.
        location: section and key, or a section alone; of a list the entry's number, and its key.
    """
    line, node = 1, document
    for key in location:
        known = node.lc.data or {} if isinstance(node, CommentedMap | CommentedSeq) else {}
        if key not in known:  # a recipe's key has no line here
            break
        line, node = known[key][0] + 1, node[key]
    return line


def apply_overlay(document: CommentedMap, recipe: CommentedMap) -> CommentedMap:
    """A document with the values of a recipe in place of its own; comments and order are kept.

    Args:
        document: params.yaml, which is changed in place.
        recipe: sections with some of their keys.
    """
    for key, value in recipe.items():
        if isinstance(value, CommentedMap) and isinstance(document.get(key), CommentedMap):
            apply_overlay(document[key], value)  # a whole section in its place would lose the comments
        else:
            document[key] = value
    return document


def recipe_path(name: str) -> Path:
    """The file of a recipe.

    Raises:
        UserError: if there is none of that name.
    """
    paths = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    if name not in paths:
        raise UserError(f"recipe {shown_value(name)} does not exist: choose one of {', '.join(paths)}.")
    return paths[name]


def lay_recipe(document: CommentedMap, path: Path) -> CommentedMap:
    """A document with the values of the defaults, and over them those of a recipe.

    So a recipe gives the same whatever was laid before it.

    Args:
        document: params.yaml, or the defaults themselves; it is changed in place and keeps its comments.
        path: the recipe's file.

    Raises:
        UserError: if the recipe or the defaults cannot be read.
    """
    return apply_overlay(apply_overlay(document, read_yaml(DEFAULTS)), read_yaml(path))


def dump_yaml(document: CommentedMap) -> str:
    """A YAML document as text, as DVC writes it."""
    yaml, text = YAML(), StringIO()
    yaml.width = 120
    yaml.dump(document, text)
    return text.getvalue()


def check_params() -> None:
    """Checks params.yaml, every recipe over the defaults, and that DVC's committed configuration holds no password.

    Raises:
        UserError: naming every fault of every file.
    """
    found = [*find_faults(read_yaml(PARAMS), str(PARAMS)), *remote_credentials()]
    recipes = sorted(RECIPES.glob("*.yaml"))
    for path in recipes:
        found += find_faults(lay_recipe(read_yaml(DEFAULTS), path), f"{DEFAULTS} under {path}")
    if found:
        raise UserError("\n".join(found))
    print(f"{PARAMS} and {len(recipes)} recipe{'s' * (len(recipes) != 1)} are valid.")


def apply_recipe(name: str) -> None:
    """Puts the defaults and a recipe over them into params.yaml.

    Raises:
        UserError: if the recipe does not exist, or the result would have faults; params.yaml is then left as it was.
    """
    path = recipe_path(name)
    document = lay_recipe(read_yaml(PARAMS), path)
    if found := list(find_faults(document, f"{PARAMS} under {path}")):
        raise UserError("\n".join(found))
    with atomic_file(PARAMS) as partial:
        partial.write_text(dump_yaml(document), encoding="utf-8")
    print(f"Laid {path} over the defaults in {PARAMS}: `git diff {PARAMS}` shows what changed, `dvc repro` runs it.")


def list_recipes() -> None:
    """Prints each recipe's name and the first line of its comment; of one that cannot be read, why."""
    for path in sorted(RECIPES.glob("*.yaml")):
        try:
            read_yaml(path)
            shown = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        except UserError as error:
            shown = str(error)
        print(f"{path.stem:24} {shown}")


def main() -> None:
    """The commands `check` and `recipe`."""
    parser = argparse.ArgumentParser(
        prog="python -m src.params", description="Checks params.yaml, lays recipes over it."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="validate params.yaml and every recipe, all faults at once")
    recipe = commands.add_parser(
        "recipe", help="put defaults and recipes/NAME.yaml into params.yaml; without NAME list them"
    )
    recipe.add_argument("name", nargs="?", metavar="NAME")
    arguments = parser.parse_args()
    try:
        if arguments.command == "check":
            check_params()
        elif arguments.name:
            apply_recipe(arguments.name)
        else:
            list_recipes()
    except UserError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}: {PARAMS} is left as it was.")


if __name__ == "__main__":
    main()
