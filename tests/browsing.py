"""A headless Chromium that looks at reports: what fits, what can be read, and what a page asks for.

`FAILOVER_DRILL_SCREENS=DIR` keeps the screenshots, for a person to look at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = (360, 768, 1280)
A4_PX = 794
"""The width of an A4 page at 96 dots an inch."""
CLASSES = ".map(s => s.getAttribute('class'))"
BOXES = """(selector) => [...document.querySelectorAll(selector)].filter(one => one.checkVisibility())
  .map(one => one.getBoundingClientRect()).map(box => [box.right, box.height])"""
TREE = """[...document.querySelectorAll('*')]
  .map(one => [one.tagName, ...one.getAttributeNames().filter(name => name !== 'class').sort()].join(' '))"""
CONTRAST = """(selector) => {
  const rgb = (text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const lum = (c) => c.map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 })
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const page = lum(rgb(getComputedStyle(document.body).backgroundColor));
  return [...document.querySelectorAll(selector)].map((one) => {
    const style = getComputedStyle(one);
    const ink = lum(rgb(one.ownerSVGElement ? style.fill : style.color));
    return (Math.max(ink, page) + .05) / (Math.min(ink, page) + .05);
  });
}"""
TEXTS = ("h1", ".lead", ".faint", ".verdict", "td", "th", "summary", "svg text.ink")
"""What every report of a run has, as selectors."""
CONTRAST_AT_LEAST = 4.5
"""WCAG's AA for text."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium. Without one on the machine the test is skipped, except on CI, which installs it."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine; .ci/run installs it where it may")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


def opened(
    browser: Browser, path: Path, width: int, scheme: Literal["light", "dark"] = "light"
) -> tuple[Page, list[str]]:
    """A page, and what it asked for or complained of since."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(f"dialog {dialog.message}"))
    page.goto(path.as_uri())
    return page, heard


def keep(page: Page, name: str) -> bytes:
    """A screenshot of the whole page, kept where a person asked for it."""
    where = os.environ.get("FAILOVER_DRILL_SCREENS")
    taken: bytes = page.screenshot(full_page=True, path=Path(where) / f"{name}.png" if where else None)
    return taken


_LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((360, "light"), (A4_PX, "dark"), (1280, "light"))


def look_at(report: Path, name: str) -> None:
    """A report of a run on a phone, on A4 and on a desk, light and dark: nothing is asked for, nothing sticks out,
    it has the pictures of the width, and all text has contrast.
    """
    with chromium() as browser:
        for width, scheme in _LOOKS:
            page, heard = opened(browser, report, width, scheme)
            assert heard == [report.as_uri()]
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert max(right for right, _ in page.evaluate(BOXES, "main *")) <= width
            drawn = page.evaluate(
                "[...document.querySelectorAll('figure > svg')].filter(s => s.checkVisibility())" + CLASSES
            )
            assert drawn == (["narrow"] if width < 672 else ["wide"]) * 4
            for selector in TEXTS:
                found = page.evaluate(CONTRAST, selector)
                assert found, selector
                assert min(found) >= CONTRAST_AT_LEAST, selector
            taken = keep(page, f"{name}-{width}-{scheme}")
            assert int.from_bytes(taken[16:20]) == width
            page.context.close()
