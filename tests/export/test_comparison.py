"""The comparison of forms: each against the GGUF in 16 bits, above 0 where it finds the references less likely."""

from src.export.comparison import Measured, compare_forms, table_lines, table_rows
from src.export.trial import Speed
from src.inference.reference_loss import ReferenceLoss

TOKENS = (10, 20, 10)
SPEED = Speed(tokens_per_second=123.4, memory_mb=567.8)


def measured(nats: tuple[float, ...], size: int, agreement: float = 1.0, speed: Speed | None = None) -> Measured:
    return Measured([ReferenceLoss(*pair) for pair in zip(nats, TOKENS, strict=True)], agreement, size, speed)


FORMS = {
    "adapter": measured((8.0, 20.0, 8.0), 1_234_567),
    "f16": measured((10.0, 20.0, 10.0), 20_000_000, speed=SPEED),
    "q4_k_m": measured((11.0, 26.0, 11.0), 5_000_000, 0.5, SPEED),
}


def test_a_form_is_compared_with_16_bits_by_the_token() -> None:
    figures = compare_forms(FORMS)
    assert {name: found["loss"] for name, found in figures.items()} == {"adapter": 0.9, "f16": 1.0, "q4_k_m": 1.2}
    assert [found["loss_difference"] for found in figures.values()] == [-0.1, 0.0, 0.2]
    low, high = (figures["q4_k_m"][f"loss_difference_{bound}"] for bound in ("low", "high"))
    assert 0.1 <= low < 0.2 < high <= 0.3
    assert (figures["q4_k_m"]["bytes"], figures["q4_k_m"]["agreement"]) == (5_000_000, 0.5)


def test_the_plot_has_megabytes_and_the_words_of_each_form() -> None:
    row = table_rows(compare_forms(FORMS))[0]
    assert (row["form"], row["label"], row["megabytes"], row["loss_difference"]) == (
        "adapter",
        "LoRA adapter",
        1.235,
        -0.1,
    )
    assert "bytes" not in row


def test_the_terminal_shows_the_lower_bound_first_and_what_ran() -> None:
    figures = compare_forms(FORMS)
    lines = [line.split() for line in table_lines(figures, {name: form.speed for name, form in FORMS.items()})]
    low, high = (f"{figures['q4_k_m'][f'loss_difference_{bound}']:+.4f}" for bound in ("low", "high"))
    assert lines[3] == f"q4_k_m 5.0 MB +0.2000 ({low} to {high}) 50% 123 t/s 568 MB".split()
    assert lines[1][-1] == "100%"
