"""The page's components, and what happens when they are used.

Covers the layout, Gradio's theme, and the events. What is told is made by app_session.py and app_evidence.py; all
texts get into the page escaped, through parts.html.jinja.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from src.errors import UserError
from src.inference.engine import Sampling
from src.serving.app_evidence import layer_norms, read_losses, read_scores
from src.serving.app_session import Choice, Desk, Shown, visible_text

if TYPE_CHECKING:
    from gradio import Blocks
    from gradio.components import Component
    from gradio.themes import Base

PAGE = Path(__file__).parent / "page"
CSS = PAGE / "page.css"
NAMES = {"base": "Base model", "tuned": "Tuned model"}
HIDDEN = "Hidden until you vote"
PLACEHOLDERS = ("What the base model writes appears here.", "What the tuned model writes appears here.")
EXAMPLES = 4
LONGEST_ANSWER = 512  # tokens
WAITING = 100  # visitors in the queue; further ones are told that it is full
LOOK = 0.1  # seconds between two looks at whether the model is loaded
PAINT = 0.05  # seconds between two updates of an answer: as smooth as it is read, and light for many visitors
PRIVATE: dict[str, Any] = {"api_visibility": "private"}  # no programming interface: src/serving/api.py is one

MUTED, LINE, EDGE = ("#5a5c60", "#a6a9ae"), ("#dcdcd7", "#34373c"), ("#85857f", "#7c8087")
INK, SHEET, ACCENT = ("#1c1d1f", "#e9e9e6"), ("#ffffff", "#1c1e21"), ("#1d5a96", "#8bbcf0")
COLOURS = {  # of Gradio's components, in light and dark; page.css has those of the rest
    "body_background_fill": ("#f6f6f4", "#141517"),
    "body_text_color": INK,
    "body_text_color_subdued": MUTED,
    "block_background_fill": SHEET,
    "block_border_color": LINE,
    "block_label_text_color": MUTED,
    "block_info_text_color": MUTED,
    "block_title_text_color": INK,
    "input_background_fill": ("#ffffff", "#141517"),
    "input_border_color": EDGE,
    "input_border_color_focus": ACCENT,
    "input_placeholder_color": MUTED,
    "button_primary_background_fill": ACCENT,
    "button_primary_background_fill_hover": ("#174a7c", "#bcd8f0"),
    "button_primary_text_color": ("#ffffff", "#10243a"),
    "button_secondary_background_fill": SHEET,
    "button_secondary_background_fill_hover": ("#f0f0ed", "#25282c"),
    "button_secondary_border_color": EDGE,
    "button_secondary_text_color": INK,
    "checkbox_background_color_selected": ACCENT,
    "checkbox_border_color": EDGE,
    "checkbox_border_color_selected": ACCENT,
    "slider_color": ACCENT,
}


class Parts(NamedTuple):
    """The components that change."""

    shown: "Component"
    notice: "Component"
    first: "Component"
    second: "Component"
    record: "Component"
    ballot: Any
    ask: "Component"


@cache
def page_parts() -> Any:
    """The macros of the template, which escape all that is filled in."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(PAGE)
    templates = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return templates.get_template("parts.html.jinja").module


def page_theme() -> "Base":
    """Colours and letters; the font comes with Gradio."""
    from gradio import themes
    from gradio.themes.utils.fonts import LocalFont

    # Bold, as 600: the semi-bold file of Gradio 6.31 lacks most letters.
    font: list[Any] = [LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"]
    colours = {name: light for name, (light, _) in COLOURS.items()}
    colours |= {f"{name}_dark": dark for name, (_, dark) in COLOURS.items()}
    return themes.Base(neutral_hue="zinc", text_size="lg", font=font, font_mono=font).set(
        **colours, block_title_text_weight="600", input_border_width="1px", button_border_width="1px"
    )


def build_page(desk: Desk) -> "Blocks":
    """The page.

    Args:
        desk: what answers.
    """
    import gradio as gr

    with gr.Blocks(title="Shelftalk", analytics_enabled=False) as page:
        header = html(page_parts().header("Loading the model …", "loading"))
        title = gr.Textbox(
            label="Product title",
            placeholder="Such as: Oak Desk Lamp, 45 cm high",
            lines=1,
            max_lines=4,
            autofocus=True,
            elem_id="title",
        )
        if desk.note:
            examples = [[example] for example in desk.note.check_titles[:EXAMPLES]]
            gr.Examples(examples, title, label="Examples from the test records", api_visibility="private")
        with gr.Row(elem_id="actions"):
            ask = gr.Button("Describe", variant="primary", interactive=False, elem_id="ask")
            hidden = gr.Checkbox(label="Hide which model is which until I vote", container=False, elem_id="hidden")
        sampling = sampling_controls(desk.note.sampling if desk.note else Sampling(160))
        notice = html("", "notice-place")
        with gr.Row(elem_id="answers"):
            first = html(page_parts().answer("A", NAMES["base"], "", False, PLACEHOLDERS[0]))
            second = html(page_parts().answer("B", NAMES["tuned"], "", False, PLACEHOLDERS[1]))
        with gr.Row(visible=False, elem_id="ballot") as ballot:
            html('<p id="which">Which description is better?</p>')
            choices = {choice: gr.Button(label) for choice, label in CHOICES.items()}
        record = html("", "record-place")
        html(page_parts().run(read_scores(), read_losses()), "run-place")
        proof = html("", "proof-place")
        parts = Parts(gr.State(None), notice, first, second, record, ballot, ask)
        connect(page, desk, parts, [title, hidden, *sampling], choices, [header, ask, proof])
    return page.queue(max_size=WAITING, api_open=False)


CHOICES: dict[Choice, str] = {"first": "A is better", "tie": "A tie", "second": "B is better"}


def html(value: str, place: str | None = None) -> Any:
    """A part of the page that is not one of Gradio's components.

    Args:
        value: HTML whose texts are escaped.
        place: its id.
    """
    import gradio as gr

    return gr.HTML(str(value), apply_default_css=False, elem_id=place, js_on_load=None)


def sampling_controls(default: Sampling) -> list["Component"]:
    """The controls of how answers are drawn, folded, in the order of Sampling's fields.

    Args:
        default: how the model was evaluated.
    """
    import gradio as gr

    with gr.Accordion("How the words are drawn", open=False, elem_id="sampling"), gr.Row():
        return [
            gr.Slider(
                1, LONGEST_ANSWER, default.max_new_tokens, step=1, label="Longest answer", info="Tokens, at most"
            ),
            gr.Slider(0, 2, default.temperature, step=0.05, label="Temperature", info="0: the likeliest word, always"),
            gr.Slider(0, 200, default.top_k, step=1, label="Top-k", info="Only the k likeliest; 0: all"),
            gr.Slider(0.05, 1, default.top_p, step=0.05, label="Top-p", info="Only the likeliest that reach p"),
            gr.Slider(1, 2, default.repetition_penalty, step=0.05, label="Repetition penalty", info="1: none"),
            gr.Number(
                default.seed, precision=0, minimum=0, maximum=2**32 - 1, label="Seed", info="The same on both sides"
            ),
        ]


def connect(
    page: "Blocks",
    desk: Desk,
    parts: Parts,
    inputs: list["Component"],
    choices: Mapping[Choice, "Component"],
    loading: list["Component"],
) -> None:
    """What happens when the page is opened, a title is entered, a vote given.

    Args:
        page: all of it.
        desk: what answers.
        parts: what changes.
        inputs: title, whether the sides are hidden, and the sampling.
        choices: the buttons of a vote.
        loading: what changes once the model is loaded: header, button, and proof.
    """
    import gradio as gr

    async def follow_loading() -> AsyncIterator[Any]:
        while not desk.loaded.is_set():
            await asyncio.sleep(LOOK)
        yield [page_parts().header(*loading_status(desk)), gr.update(interactive=desk.model is not None), ""]
        if desk.model:
            model = desk.model
            with suppress(UserError, OSError):  # llama.cpp is busy: the page is of use without the proof
                yield [gr.skip(), gr.skip(), render_proof(await asyncio.to_thread(lambda: model.proof))]

    def describe(title: str, hidden: bool, *sampling: Any) -> Iterator[dict[Any, Any]]:
        yield from show_answers(desk, parts, title, hidden, Sampling(*sampling))

    page.load(follow_loading, None, loading, concurrency_limit=None, show_progress="hidden", **PRIVATE)
    gr.on(
        [inputs[0].submit, parts.ask.click],  # type: ignore[attr-defined]
        describe,
        inputs,
        list(parts),
        concurrency_limit=desk.slots // 2,
        trigger_mode="once",
        show_progress="minimal",
        show_progress_on=parts.notice,
        **PRIVATE,
    )
    for choice, button in choices.items():
        vote = partial(show_vote, desk, choice)
        outputs = [parts.shown, parts.notice, parts.first, parts.second, parts.ballot]
        button.click(vote, parts.shown, outputs, show_progress="hidden", **PRIVATE)  # type: ignore[attr-defined]


def loading_status(desk: Desk) -> tuple[str, str]:
    """Whether the model can be asked, in words, and as a class of the style sheet."""
    return ("Ready", "ready") if desk.model else (desk.problem, "problem")


def render_proof(proof: Any) -> str:
    """The proof of the adapter.

    Args:
        proof: an AdapterProof.
    """
    return str(page_parts().proof(proof.differences, layer_norms(proof)))


def show_answers(desk: Desk, parts: Parts, title: str, hidden: bool, sampling: Sampling) -> Iterator[dict[Any, Any]]:
    """The page while two answers grow, and when they are complete.

    Args:
        desk: what answers.
        parts: what changes.
        title: as it was typed.
        hidden: whether the visitor is not told whose they are.
        sampling: how they are drawn.
    """
    import gradio as gr

    shown: Shown | None = None
    try:
        shown = desk.prepare(title, hidden)
        yield show_sides(parts, shown) | {
            parts.shown: None,
            parts.notice: page_parts().notice("Writing …"),
            parts.record: render_record(shown),
            parts.ballot: gr.update(visible=False),
            parts.ask: gr.update(interactive=False),
        }
        painted = monotonic()
        for grown in desk.answer(shown, sampling):
            shown = grown
            if monotonic() - painted >= PAINT:
                painted = monotonic()
                yield show_sides(parts, shown)
        yield (
            show_sides(parts, shown)
            | {
                parts.shown: shown,
                parts.notice: page_parts().notice("Both descriptions are complete."),
                parts.ballot: gr.update(visible=True),
                parts.ask: gr.update(interactive=True),
            }
        )
    except (UserError, OSError) as error:
        sentence = str(error) if isinstance(error, UserError) else "The model does not answer: try again in a moment."
        told = page_parts().notice(visible_text(sentence), "problem")
        yield {parts.notice: told, parts.ask: gr.update(interactive=desk.model is not None)}


def show_sides(parts: Parts, shown: Shown) -> dict[Any, Any]:
    """Both answers as far as they are written.

    Args:
        parts: what changes.
        shown: the answers.
    """
    return dict(zip((parts.first, parts.second), render_sides(shown), strict=True))


def render_sides(shown: Shown) -> list[str]:
    """Both answers; nameless where the sides are hidden, until the vote."""
    named = not shown.hidden or shown.vote
    return [
        str(
            page_parts().answer(
                letter,
                NAMES[side] if named else HIDDEN,
                visible_text(text),
                not shown.complete,
                "The model has written nothing.",
            )
        )
        for letter, side, text in zip("AB", shown.sides, shown.answers, strict=True)
    ]


def render_record(shown: Shown) -> str:
    """The nearest record, with what it says to a question, or the words that there is none."""
    nearest = next(iter(shown.question.sources), None)
    if nearest is None:
        return str(page_parts().record(None, []))
    passages = [visible_text(passage.text) for passage in shown.question.passages if passage.uid == nearest.uid]
    seen = replace(nearest, title=visible_text(nearest.title), text=visible_text(nearest.text))
    return str(page_parts().record(seen, passages))


def show_vote(desk: Desk, choice: Choice, shown: Shown | None) -> list[Any]:
    """The page after a vote.

    Args:
        desk: what keeps it.
        choice: which is better.
        shown: what was voted on; None where nothing is complete.
    """
    import gradio as gr

    if shown is None:
        return [gr.skip()] * 5
    voted = desk.vote(shown, choice)
    first, second = (NAMES[side].lower() for side in voted.sides)
    told = f"Thank you, your vote is kept. A is the {first}, B the {second}."
    return [voted, page_parts().notice(told), *render_sides(voted), gr.update(visible=False)]
