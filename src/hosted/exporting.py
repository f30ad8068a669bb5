"""What stands for exports of a hosted model: nothing, said in a file, so that the stages behind have their inputs.

Covers models/export, its report and data/generations/exports.
"""

from pathlib import Path

from src.files import atomic_folder, read_json, write_json
from src.hosted.adapter import read_hosted_adapter

NOTE, REPORT, TABLES = "hosted.json", "data/reports/export.json", Path("data/tables/export")


def export_nothing(adapter: Path, export: Path) -> str | None:
    """Writes that there is nothing to export, where the adapter is of a hosted model.

    Args:
        adapter: its folder.
        export: the folder that exports are in.

    Returns:
        The line that the stage ends with; None where there is something to export.
    """
    hosted = read_hosted_adapter(adapter)
    if hosted is None:
        return None
    note = {"exported": False, "model": hosted["model"], "address": hosted["address"]}
    with atomic_folder(export) as folder:
        write_json(folder / NOTE, note)
    write_json(REPORT, note)
    with atomic_folder(TABLES):
        pass  # no form, no figures; the folder is an output all the same
    return f"nothing to export: {hosted['model']} stays at {hosted['address']}"


def answer_nothing(export: Path, generations: Path) -> str | None:
    """Writes that no export answers, where there is none; arguments and return value as of `export_nothing`.

    Args:
        export: the folder that exports are in.
        generations: the folder for their answers.
    """
    note = export / NOTE
    if not note.is_file():
        return None
    with atomic_folder(generations) as folder:
        write_json(folder / NOTE, read_json(note))
    return "nothing was exported, so nothing answers"
