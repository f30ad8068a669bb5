"""The evaluation as one page for the eye: verdict, scores, slices, and the records with all answers side by side.

Covers what data/tables/evaluate/report.html holds. Template, style and script lie in page/ and are written into the
page, which asks no network for anything. Titles and answers are whatever the data holds: they stand in the page as
JSON, and its script shows them as text.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.scoring.fact_counts import add_counts
from src.scoring.generations import Generation
from src.scoring.page_tables import BAR_WIDTH, difference_rows, score_groups
from src.scoring.pairing import records_digest
from src.scoring.report_verdict import SCORES_BY_NAME, verdict_sentence
from src.scoring.scores import PERCENT, SCORES, SystemAnswers
from src.scoring.systems import BASE, SYSTEMS, TUNED, System

if TYPE_CHECKING:
    from jinja2 import Template

PAGE = Path(__file__).parent / "page"
MOST_RECORDS = 1_000  # on the page, which is committed and opened on phones
RECORD_SCORES = {"rougeL": "ROUGE-L", "chrf_sentence": "chrF"}  # of one record: what the page sorts by

# In a script element `<` could end it, and a comment there hides what follows; the others are invisible or turn the
# direction of what is written after them, and a lone surrogate has no bytes in UTF-8.
UNSAFE = re.compile("[<>&\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def render_report_page(
    report: Mapping[str, Any],
    systems: Mapping[str, SystemAnswers],
    records: Sequence[Generation],
    compared: Sequence[System] = SYSTEMS,
) -> str:
    """The page.

    Args:
        report: what data/reports/evaluate.json holds.
        systems: the answers of each by its name, in the order of the report, the tuned model among them.
        records: the rows of any model, which have the titles.
        compared: rows that tell what the systems are called; one without a row goes by its name.

    Returns:
        HTML that is the same for the same scores and answers.
    """
    known = {system.name: system.label for system in compared} | {TUNED: "tuned model"}
    labels = {name: known.get(name, name) for name in systems}
    style, script = (read_part(name) for name in ("report.css", "report.js"))
    return page_template().render(
        labels=labels,
        tuned=TUNED,
        base=BASE,
        records=len(records),
        shown=min(len(records), MOST_RECORDS),
        digest=records_digest(records),
        verdicts=verdicts(report, labels),
        groups=score_groups(report),
        comparisons={name: difference_rows(report, name) for name in labels if name != TUNED},
        bar_width=BAR_WIDTH,
        signatures=report.get("signatures", {}),
        slices=bool(report.get("slices")),
        paradoxes=list(described_paradoxes(report, labels)),
        style=style,
        script=script,
        style_hash=content_hash(style),
        script_hash=content_hash(script),
        data=embedded_json(page_data(report, systems, records, labels)),
    )


def page_template() -> "Template":
    """The page's template, which escapes all that is filled in."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(PAGE)
    templates = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["sentence"] = sentence_case
    return templates.get_template("report.html.jinja")


def sentence_case(text: str) -> str:
    """A text with a capital at its start, unless its first word has one inside, as chrF does."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first == first.lower() else text


def read_part(name: str) -> str:
    """A file of the page."""
    return (PAGE / name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """The hash by which the page's security policy knows its own style and script, and refuses any other."""
    return base64.b64encode(sha256(text.encode()).digest()).decode()


def verdicts(report: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """The tuned model against each other system in the scores to decide by, a sentence each, the base model first.

    Args:
        report: what data/reports/evaluate.json holds.
        labels: what the page calls each system.
    """
    headline = [score.name for score in SCORES if score.headline]
    called = {name: name if label == name else f"the {label}" for name, label in labels.items()}
    others = sorted((name for name in labels if name != TUNED), key=lambda name: name != BASE)
    decisive = {
        name: {
            score: found for score, found in report["difference"][f"{TUNED}_minus_{name}"].items() if score in headline
        }
        for name in others
    }
    sentences = (verdict_sentence(found, called[TUNED], called[name]) for name, found in decisive.items())
    return [sentence_case(sentence) for sentence in sentences]


def described_paradoxes(report: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Where the slices contradict the whole, with the names that the page uses.

    Args:
        report: what data/reports/evaluate.json holds.
        labels: what the page calls each system.
    """
    for found in report.get("paradoxes", []):
        other = found["difference"].removeprefix(f"{TUNED}_minus_")
        yield {**found, "label": SCORES_BY_NAME[found["score"]].label, "other": labels[other]}


def page_data(
    report: Mapping[str, Any],
    systems: Mapping[str, SystemAnswers],
    records: Sequence[Generation],
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """What the page's script shows.

    Args:
        report: what data/reports/evaluate.json holds.
        systems: the answers of each by its name.
        records: the rows of any model.
        labels: what the page calls each system.
    """
    return {
        "tuned": TUNED,
        "base": BASE if BASE in systems else next(name for name in systems if name != TUNED),
        "systems": labels,
        "record_scores": list(RECORD_SCORES.values()),
        "scores": {
            score.name: [score.label, score.better, score.meaning, score.unit == PERCENT]
            for score in SCORES
            if score.sums
        },
        "overall": report["difference"],
        "slices": report.get("slices") or {},
        "records": list(record_rows(systems, records)),
    }


def record_rows(systems: Mapping[str, SystemAnswers], records: Sequence[Generation]) -> Iterator[list[Any]]:
    """Each record as a list, for names would take a fifth of the page: uid, title, reference, how many facts the title
    gives, and the row of each system's answer.

    Args:
        systems: the answers of each by its name, the tuned model among them.
        records: the rows of any model.
    """
    facts = [add_counts(counts).in_title for counts in systems[TUNED].fact_counts] or [0] * len(records)
    answers = zip(*map(answer_rows, systems.values()), strict=True)
    for row, in_title, own in zip(records[:MOST_RECORDS], facts[:MOST_RECORDS], answers, strict=True):
        yield [row.uid, row.title, row.reference, in_title, own]


def answer_rows(system: SystemAnswers) -> Iterator[list[Any]]:
    """Each answer of a system: its text, its RECORD_SCORES, and the facts that it states, right and wrong ones.

    Args:
        system: its answers.
    """
    scores = [system.overlap.sums[name].terms[0] for name in RECORD_SCORES]
    for position, answer in enumerate(system.answers[:MOST_RECORDS]):
        found = system.facts[position].find(answer) if system.facts else None
        facts = [sorted(found.stated), sorted(found.wrong)] if found else [[], []]
        yield [answer, [round(float(values[position]), 1) for values in scores], *facts]


def embedded_json(data: Mapping[str, Any]) -> str:
    """JSON that may stand in a script element, whatever its texts hold; each record on a line of its own.

    Args:
        data: what the page's script reads; its `records` are a list.
    """
    records = ",\n".join(map(compact_json, data["records"]))
    head = compact_json({name: value for name, value in data.items() if name != "records"})
    text = f'{head[:-1]}{"," if len(data) > 1 else ""}"records":[\n{records}\n]}}'
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def compact_json(value: object) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
