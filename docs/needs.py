"""Tells what a machine needs for each recipe: disk, memory and GPU memory, by the shapes of the base models.

Covers the base, training by the audit's own estimate for full rows, and every form of the export. Does not cover the
Python environment, nor the data, which are the same for all recipes. An estimate: none was measured on a GPU.
"""

import math
from typing import Any

from benchmarks.workload import SHAPES
from src.params import DEFAULTS, RECIPES, Params, lay_recipe, plain_values, read_yaml
from src.training.memory import BITS_16, BITS_32, GIGABYTE, base_bytes, choose_optimizer, estimate_memory

# Bytes a weight of the model, on the disk: the base and the merged weights in 16 bits, GGUF files in 16, 8, 8 and 4
# bits with their blocks' scales, and while the export stage works a second merge in 16 bits.
ON_DISK = 4 * BITS_16 + 2 * 8.5 / 8 + 4.85 / 8
PYTHON = 1.0  # GB of memory for Python and its libraries, and for the data stages

SHAPE_OF = {
    "unsloth/Llama-3.2-1B-Instruct": "Llama-3.2-1B",
    "NousResearch/Meta-Llama-3-8B": "Llama-3-8B",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": "TinyLlama-1.1B",
    "unsloth/tinyllama-chat-bnb-4bit": "TinyLlama-1.1B",
}


def needs_table() -> str:
    """What each recipe that fetches its base needs, a row for each."""
    rows = ["| recipe | disk | memory | GPU memory |", "|---|---:|---:|---:|"]
    for recipes in hub_recipes().values():
        for name, params in recipes.items():
            rows.append(f"| `{name}` | {' | '.join(f'{size} GB' for size in recipe_needs(params))} |")
    return "\n".join(rows)


def needs_summary() -> str:
    """What the recipes of each base model need, in a sentence."""
    bases = []
    for shape, recipes in hub_recipes().items():
        disk, memory, gpu = zip(*map(recipe_needs, recipes.values()), strict=True)
        bases.append(
            f"with **{shape}** {max(disk)} GB of disk, {max(memory)} GB of memory and a GPU with {span(gpu)} GB"
        )
    return f"Beside the data, recipes need by estimate: {'; '.join(bases)}."


def hub_recipes() -> dict[str, dict[str, Params]]:
    """The recipes that fetch their base, by its shape and by their name."""
    found: dict[str, dict[str, Params]] = {shape: {} for shape in SHAPE_OF.values()}
    for path in sorted(RECIPES.glob("*.yaml")):
        params = Params.model_validate(plain_values(lay_recipe(read_yaml(DEFAULTS), path)))
        if params.base.source == "hub" and params.train.backend != "openai":
            found[SHAPE_OF[params.base.repository]][path.stem] = params
    return found


def span(sizes: tuple[int, ...]) -> str:
    """Sizes as their range in words."""
    return str(sizes[0]) if len(set(sizes)) == 1 else f"{min(sizes)} to {max(sizes)}"


def recipe_needs(params: Params) -> tuple[int, int, int]:
    """Disk, memory and GPU memory in whole GB of 2^30 bytes, rounded up."""
    config = SHAPES[SHAPE_OF[params.base.repository]]
    weights = base_bytes(config, four_bit=False) / BITS_16 / GIGABYTE
    return (
        math.ceil(weights * ON_DISK),
        math.ceil(weights * BITS_32 + PYTHON),
        math.ceil(training_gigabytes(config, params)),
    )


def training_gigabytes(config: dict[str, Any], params: Params) -> float:
    """The audit's estimate where every row is full.

    Args:
        config: the base model's config.json.
        params: the recipe's.
    """
    train = params.train.model_copy(update={"optimizer": choose_optimizer(config, params.train)})
    return estimate_memory(config, train, train.max_length)["memory_total_gb"]
