"""The page of the evaluation, driven in a headless Chromium: what it shows, how it is used, and that it asks nobody."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from src.scoring import report_page
from src.scoring.fact_counts import RecordFacts
from src.scoring.generations import Generation
from src.scoring.report import score_report
from src.scoring.report_page import embedded_json, render_report_page, sentence_case
from src.scoring.scores import SystemAnswers
from src.scoring.systems import System
from src.scoring.title_facts import CapitalUse, TitleFacts
from tests.browser import LOWEST_CONTRAST, OpenPage
from tests.scoring.rows import generation

SCRIPT = "<script>document.title = 'taken over'</script>"
HOSTILE = [
    SCRIPT,
    "</script><img src='https://example.com/lamp.png' onerror='document.title = 1'>",
    "“Quoted” \"title\" with 'all' of {{ 7 * 7 }} & &amp; \\u003c `${quotes}`",
    "מנורת שולחן \u202e12 cm",
    "bell\u0007 null\u0000 feed\u000c line\u2028 mark\ufeff",
    "longtitle" * 1_200,
]
LAMPS = [f"Brass Lamp {number} cm" for number in range(10, 50)]
TITLES = [*HOSTILE, *LAMPS]
REFERENCES = ["A reference.\nIn two lines."] * len(HOSTILE) + [
    f"This lamp of brass is {number} cm high." for number in range(10, 50)
]
TUNED = [SCRIPT, "", *HOSTILE[2:], *[f"This lamp of brass is {number} cm wide." for number in range(10, 50)]]
BASE = ["No."] * len(HOSTILE) + ["A lamp, 99 cm high."] * 39 + ["This lamp of brass is 49 cm high."]
COPY = ["Another record's text."] * len(TITLES)
TESTED: dict[str, Any] = {
    "p_value": 0.0001,
    "corrected_p_value": 0.0007,
    "detectable": 4.5,
    "records_needed": 1234,
    "verdict": "not chance",
}
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}


def rows(answers: Sequence[str]) -> list[Generation]:
    texts = zip(TITLES, answers, REFERENCES, strict=True)
    return [
        generation(uid=f"U{number}", title=title, answer=answer, reference=reference)
        for number, (title, answer, reference) in enumerate(texts)
    ]


def all_systems() -> dict[str, SystemAnswers]:
    facts: list[RecordFacts] = [
        TitleFacts(title, text, CapitalUse([])) for title, text in zip(TITLES, REFERENCES, strict=True)
    ]
    models = {"base": rows(BASE), "tuned": rows(TUNED)}
    found = {
        name: SystemAnswers([row.answer for row in own], REFERENCES, [], own, facts) for name, own in models.items()
    }
    return found | {"<b>other</b>": SystemAnswers(COPY, REFERENCES, [], None, facts)}


def full_report(systems: dict[str, SystemAnswers]) -> dict[str, Any]:
    """The report with a verdict for each difference, and slices of which one goes against the whole."""
    report = score_report(systems)
    for differences in report["difference"].values():
        for found in differences.values():
            found |= TESTED
    whole = report["difference"]["tuned_minus_base"]["rougeL"]["estimate"]
    bounds = {"low": 10.0, "high": 30.0}
    report["slices"] = {
        "reference length": {
            "short, up to 9": {
                "records": 44,
                "value": {name: {"rougeL": {"estimate": 20.0} | bounds} for name in systems},
                "difference": {"tuned_minus_base": {"rougeL": {"estimate": -whole} | bounds}},
            },
            "long": {  # so few records that there is no interval
                "records": 2,
                "value": {"tuned": {"rougeL": {"estimate": 20.0, "low": None, "high": None}}},
                "difference": {"tuned_minus_base": {"rougeL": {"estimate": whole, "low": None, "high": None}}},
            },
        }
    }
    paradox = {"score": "facts_wrong", "difference": "tuned_minus_base", "dimension": "topic", "overall": -1.5}
    return report | {"paradoxes": [paradox | {"slices": {"tea": 1.0, "toys": 2.0}}], "signatures": {"bleu": "tok:13a"}}


@pytest.fixture(scope="module")
def html() -> str:
    systems = all_systems()
    return render_report_page(full_report(systems), systems, rows(TUNED))


@pytest.fixture(scope="module")
def address(html: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8", newline="\n")
    return path.as_uri()


def shown_titles(page: Page) -> list[str]:
    return page.locator(".record h3").all_text_contents()  # off the screen, they have no inner text


def choose(page: Page, **fields: str) -> None:
    """Chooses in the selects of the records, by their ids."""
    for field, label in fields.items():
        page.locator(f"#{field}").select_option(label=label)


def test_the_page_asks_for_nothing(open_page: OpenPage, address: str, html: str) -> None:
    page, requests, _ = open_page(address, viewport=DESK)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Use dark colours").click()
    choose(page, mark="facts of the title, wrong facts")
    assert requests == [address]
    head, _, rest = html.partition('<script type="application/json"')
    assert not re.search(
        r'(?:src|href)="(?!#)|url\(|@import|fetch\(|XMLHttp|import\(', head + rest.partition("</script>")[2]
    )


def test_its_policy_lets_nothing_else_run_or_load(open_page: OpenPage, address: str) -> None:
    page, _, errors = open_page(address)
    add = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'globalThis.ran = 1'}))"
    page.evaluate(add)
    assert page.evaluate("globalThis.ran") is None
    assert page.evaluate("fetch('data:text/plain,x').then(() => 'answered', () => 'refused')") == "refused"
    assert len(errors) >= 2 and all("Content Security Policy" in error for error in errors)
    errors.clear()


def test_texts_are_shown_as_they_are(open_page: OpenPage, address: str) -> None:
    page, requests, _ = open_page(address, viewport=DESK)
    titles = shown_titles(page)
    assert titles[:4] == HOSTILE[:4]
    assert titles[4] == "bell␇ null␀ feed␌ line\u2028 mark\ufeff"
    assert titles[5] == HOSTILE[5]
    assert page.title() == "Evaluation: 3 systems on 46 records"
    assert page.locator("main script, main img, main b").count() == 0
    assert page.locator(".record").first.locator(".tuned .body").text_content() == SCRIPT
    assert page.locator(".record h3").nth(3).evaluate("one => getComputedStyle(one).direction") == "rtl"
    expect(page.locator("#scores thead")).to_contain_text("<b>other</b>")
    expect(page.locator(".record").nth(1).locator(".tuned")).to_contain_text("(empty answer)")
    assert requests == [address]


def test_a_long_title_is_folded_until_it_is_asked_for(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=PHONE)
    record = page.locator(".record").nth(5)
    folded = record.locator("h3").bounding_box()
    record.get_by_role("button", name="Show all 10,800 characters").first.click()
    unfolded = record.locator("h3").bounding_box()
    assert folded and unfolded
    assert folded["height"] < 120 < 2_000 < unfolded["height"]
    expect(record.get_by_role("button", name="Show less")).to_be_visible()


def test_search_finds_all_words_in_any_text(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=DESK)
    page.get_by_role("searchbox").fill("HIGH brass 49")
    expect(page.locator("#status")).to_have_text("1 of 46 records")
    assert shown_titles(page) == ["Brass Lamp 49 cm"]
    page.get_by_role("searchbox").fill("99")  # only in answers of the base model
    expect(page.locator("#status")).to_have_text("39 of 46 records")
    assert page.evaluate("CSS.highlights.get('search').size") == 20
    page.get_by_role("searchbox").fill("<script>")
    expect(page.locator("#status")).to_have_text("1 of 46 records")
    page.get_by_role("searchbox").fill("no such words")
    expect(page.locator("#status")).to_contain_text("No record matches")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#status")).to_have_text("46 records")


def test_records_are_ordered_by_their_score(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=DESK)
    shown_scores = page.locator(".record .text.tuned .meta span:first-child")
    choose(page, order="worst first")
    worst = shown_scores.all_text_contents()
    choose(page, order="best first")
    best = shown_scores.all_text_contents()
    numbers = [[float(text.removeprefix("ROUGE-L ")) for text in texts] for texts in (worst, best)]
    assert numbers[0] == sorted(numbers[0]) and numbers[0][0] == 0.0
    assert numbers[1] == sorted(numbers[1], reverse=True) and numbers[1][0] > 80
    choose(page, order="worst first", score="chrF", system="base model")
    assert shown_titles(page)[0] in HOSTILE
    choose(page, order="most changed first", score="ROUGE-L", system="tuned model")
    changes = page.locator(".record header .meta span:last-child").all_text_contents()
    moved = [abs(float(text.split()[0].replace("−", "-"))) for text in changes]
    assert moved == sorted(moved, reverse=True) and moved[0] > 20
    choose(page, order="largest losses first")
    assert shown_titles(page)[0] == "Brass Lamp 49 cm"  # where the base model repeats the reference


def test_records_are_filtered_by_system(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=DESK)
    choose(page, only="with an empty answer")
    expect(page.locator("#status")).to_have_text("1 of 46 records")
    choose(page, only="with wrong facts", system="base model")  # 99 is in no title
    expect(page.locator("#status")).to_have_text("39 of 46 records")
    choose(page, only="where it is behind", system="tuned model")
    assert "Brass Lamp 49 cm" in shown_titles(page) and "Brass Lamp 12 cm" not in shown_titles(page)
    page.get_by_role("checkbox", name="<b>other</b>").uncheck()
    assert page.locator(".record").first.locator(".text h4").all_text_contents() == [
        "reference text",
        "base model",
        "tuned model",
    ]


def test_differences_are_marked(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=DESK)
    page.get_by_role("searchbox").fill("lamp 48")  # no uid has it
    expect(page.locator(".record")).to_have_count(1)
    tuned = page.locator(".record .text.tuned")
    assert (tuned.locator("ins").all_text_contents(), tuned.locator("del").count()) == (["wide"], 0)
    page.get_by_label("show missing words too").check()
    expect(tuned.locator(".body")).to_have_text("This lamp of brass is 48 cm wide high.")
    assert tuned.locator("del").all_text_contents() == ["high"]
    choose(page, mark="words not in the compared answer")
    assert tuned.locator("ins").all_text_contents() == ["This", "of brass is 48", "wide"]
    choose(page, mark="facts of the title, wrong facts")
    base = page.get_by_label("base model", exact=True).last
    assert base.locator("mark.wrong").all_text_contents() == ["99"]
    assert tuned.locator("mark.stated").all_text_contents() == ["lamp", "brass", "48"]
    choose(page, mark="nothing")
    assert page.locator(".record ins, .record mark").count() == 0
    expect(tuned.locator(".body")).to_have_text("This lamp of brass is 48 cm wide.")


def test_twenty_records_are_on_a_page(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=DESK)
    seen = []
    for number in (1, 2, 3):
        expect(page.locator("#page")).to_have_text(f"Page {number} of 3")
        seen += shown_titles(page)
        if number < 3:
            page.get_by_role("button", name="Next").click()
    assert len(seen) == 46 and seen[6:] == LAMPS
    expect(page.get_by_role("button", name="Next")).to_be_disabled()


def test_the_address_keeps_what_is_chosen(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=DESK)
    choose(page, order="largest gains first", only="where it is behind", mark="nothing")
    expected = shown_titles(page)
    again, *_ = open_page(page.url, viewport=DESK)
    assert shown_titles(again) == expected != LAMPS[:20]
    assert again.locator("#mark").input_value() == "none"


def test_the_theme_is_the_systems_until_the_reader_chooses(open_page: OpenPage, address: str) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page, *_ = open_page(address, color_scheme="light")
    light = page.evaluate(ground)
    page.get_by_role("button", name="Use dark colours").click()
    dark = page.evaluate(ground)
    page.reload()
    assert page.evaluate(ground) == dark != light
    page.get_by_role("button", name="Use light colours").click()
    assert page.evaluate(ground) == light
    other, *_ = open_page(address, color_scheme="dark")
    assert other.evaluate(ground) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("mark", ["facts of the title, wrong facts", "words not in the reference"])
def test_every_text_is_readable(open_page: OpenPage, address: str, scheme: str, mark: str) -> None:
    page, *_ = open_page(address, color_scheme=scheme, viewport=DESK)
    choose(page, mark=mark, order="worst first")
    if "reference" in mark:
        page.get_by_label("show missing words too").check()
    contrast, text = page.evaluate(LOWEST_CONTRAST)
    assert contrast >= 4.5, text


@pytest.mark.parametrize(
    "viewport", [PHONE, {"width": 320, "height": 600}, {"width": 1100, "height": 700}, DESK], ids=str
)
def test_nothing_scrolls_sideways(open_page: OpenPage, address: str, viewport: dict[str, int]) -> None:
    page, *_ = open_page(address, viewport=viewport)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    clipped = "all => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    assert page.locator("table, .record, .tile, #controls").evaluate_all(clipped) == 0


def test_the_keyboard_reaches_everything(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=DESK)
    reached, outlines = [], set()
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        outlines.add(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    expected = ["Skip to the records", "Scores", "Differences", "Slices", "Records", "theme"]
    assert reached[: len(expected)] == expected
    fields = ["slice-score", "query", "order", "score", "system", "other", "only", "mark", "missing", "show-0"]
    positions = [reached.index(field) for field in fields]
    assert positions == sorted(positions)
    assert outlines == {"solid"}
    page.locator("#next").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#page")).to_have_text("Page 2 of 3")


def test_the_verdict_and_the_figures_are_there_without_javascript(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, java_script_enabled=False, viewport=DESK)
    assert page.locator("h1").inner_text().startswith("The tuned model ")
    expect(page.locator("#differences")).to_contain_text("better, not chance")
    expect(page.locator("#differences")).to_contain_text("1,234")
    expect(page.locator("#scores")).to_contain_text("Words that answer and reference text share in the same order.")
    assert page.locator("#scores svg .range").count() >= 10


def test_a_slice_against_the_whole_is_marked(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, viewport=DESK)
    rows = page.locator("#slices tbody tr")
    expect(rows.nth(0)).to_contain_text("against the whole")
    expect(rows.nth(0)).to_contain_text("10.0 to 30.0")
    expect(rows.nth(1)).not_to_contain_text("against the whole")
    assert rows.nth(1).locator(".interval, .range").count() == 0
    expect(page.locator("#slices .notice")).to_contain_text("tuned model minus base model is -1.50 overall")


def test_print_leaves_the_controls_out(open_page: OpenPage, address: str) -> None:
    page, *_ = open_page(address, color_scheme="dark", viewport=DESK)
    page.emulate_media(media="print")
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.locator("header.top")).to_be_hidden()
    expect(page.locator(".record")).to_have_count(20)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    contrast, text = page.evaluate(LOWEST_CONTRAST)
    assert contrast >= 4.5, text


def test_the_same_answers_give_the_same_bytes(html: str) -> None:
    systems = all_systems()
    assert render_report_page(full_report(systems), systems, rows(TUNED)) == html
    html.encode()


def test_a_report_without_verdicts_and_slices_has_a_page(open_page: OpenPage, tmp_path: Path) -> None:
    systems = all_systems()
    report = score_report(systems)
    for name in ("slices", "paradoxes", "signatures"):
        report.pop(name, None)
    for differences in report["difference"].values():
        for found in differences.values():
            for name in TESTED:
                found.pop(name, None)
    (tmp_path / "page.html").write_text(render_report_page(report, systems, rows(TUNED)), encoding="utf-8")
    page, *_ = open_page((tmp_path / "page.html").as_uri())
    expect(page.locator("h1")).to_have_text("No difference between the tuned model and the base model was tested.")
    assert page.locator("#slices").count() == 0


def test_systems_are_called_by_their_labels_or_their_names() -> None:
    systems = all_systems()
    report = full_report(systems)
    html = render_report_page(report, systems, rows(TUNED), [System("<b>other</b>", "exported GGUF")])
    assert "The tuned model beats base beyond chance in" in html
    assert "the exported GGUF beyond chance" in html and "exported GGUF <code>&lt;b&gt;other&lt;/b&gt;</code>" in html


def test_no_more_records_are_on_the_page_than_it_can_bear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_page, "MOST_RECORDS", 8)
    systems = all_systems()
    html = render_report_page(full_report(systems), systems, rows(TUNED))
    assert "The first 8 of 46 records are on this page" in html
    assert "Brass Lamp 11 cm" in html and "Brass Lamp 12 cm" not in html


def test_json_is_safe_in_a_script_element() -> None:
    text = embedded_json({"records": ["</script><!-- & \u2028\u202e\ud800"]})
    assert text == '{"records":[\n"\\u003c/script\\u003e\\u003c!-- \\u0026 \\u2028\\u202e\\ud800"\n]}'


@pytest.mark.parametrize(("text", "expected"), [("base model", "Base model"), ("chrF, mean", "chrF, mean"), ("", "")])
def test_sentences_begin_with_a_capital(text: str, expected: str) -> None:
    assert sentence_case(text) == expected
