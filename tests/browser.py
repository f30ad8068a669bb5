"""Pages in a headless Chromium: a browser for each module, and a way to open a page and hear what it asks for.

Skipped where the machine has no Chromium; Debian's package is `chromium`.
"""

import shutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60  # seconds to wait for what has to come true; the machine may be busy
expect.set_options(timeout=PATIENCE * 1000)

# The lowest contrast between a text and its ground among all texts that are seen, and that text (WCAG 2.2, 1.4.3).
LOWEST_CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const pixel = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return Array.from(canvas.getImageData(0, 0, 1, 1).data).slice(0, 3);
  };
  const luminance = (colours) => {
    const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const [red, green, blue] = pixel(colours).map(linear);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  let lowest = [21, ""];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(":disabled")) continue;
    const grounds = [];
    for (let each = element; each; each = each.parentElement) grounds.unshift(getComputedStyle(each).backgroundColor);
    const [ground, ink] = [luminance(grounds), luminance([...grounds, getComputedStyle(element).color])];
    const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
    if (contrast < lowest[0]) lowest = [contrast, walker.currentNode.data.trim()];
  }
  return lowest;
}"""


class OpenedPage(NamedTuple):
    """A page, the addresses that it has asked for, its own first, and the errors in its console.

    An error fails the test, unless the test itself looked at the list and emptied it.
    """

    page: Page
    requests: list[str]
    errors: list[str]


OpenPage = Callable[..., OpenedPage]


@pytest.fixture(scope="module")  # no longer: a running playwright leaves no room for another event loop
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    command = next(filter(None, map(shutil.which, COMMANDS)), None)
    if command is None:
        pytest.skip(f"no Chromium on this machine ({', '.join(COMMANDS)}): install Debian's package chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=command, timeout=PATIENCE * 1000)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens an address in a context of its own, with playwright's options."""
    opened: list[OpenedPage] = []

    def open_address(address: str, **options: Any) -> OpenedPage:
        found = OpenedPage(browser.new_context(**options).new_page(), [], [])
        opened.append(found)
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.on("console", lambda message: found.errors.extend([message.text] * (message.type == "error")))
        found.page.goto(address)
        return found

    yield open_address
    for found in opened:
        found.page.context.close()
    assert [error for found in opened for error in found.errors] == []
