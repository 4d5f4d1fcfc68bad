"""The HTML report in a real browser: headless Chromium, at phone and desktop width, light and dark, and printed.

The reports of real gateways are looked at where these are drilled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from browsing import A4_PX, BOXES, CLASSES, CONTRAST, TREE, WIDTHS, chromium, keep, opened
from calibration.story import history
from hostile import harmless, hostile
from playwright.sync_api import Browser
from quarters import plan, run, two_quarters

from drills.events import ArrivalSent, Limits
from drills.quarter import assemble
from drills.quarter.plan import LegPlan, Money
from drills.quarter.register import Register
from drills.verdict import judged
from reports import html, quarter_html

pytestmark = [pytest.mark.clock, pytest.mark.browser]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three reports: of a failed drill with all that a report can show, hostile, and harmless."""
    folder = tmp_path_factory.mktemp("pages")
    limits = Limits(switchover_within_s=0.1, lost_at_most=0, slow_at_most=0)
    events = history("pppppppppp[xxcuSSssssss{zzttttt}sss]sspppppppp", limits)
    streamed = [msgspec.structs.replace(e, stream=e.seq % 2 == 0) if isinstance(e, ArrivalSent) else e for e in events]
    digest = "3f" * 32  # as long as the hashes of a real run
    head = msgspec.structs.replace(events[0], environment={"build": digest}, config_sha256=digest)
    told = judged([head, *streamed[1:]], "story", history_sha256=digest)
    (folder / "story.html").write_bytes(html.render(told))
    (folder / "hostile.html").write_bytes(html.render(hostile()))
    (folder / "harmless.html").write_bytes(html.render(harmless()))
    return folder


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_loads_nothing(browser: Browser, pages: Path, width: int) -> None:
    """No sideways scrolling, no request but its own, no complaint; the plots of the width, with text to read."""
    page, heard = opened(browser, pages / "story.html", width)
    assert heard == [(pages / "story.html").as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.scripts.length") == 0
    shown = page.evaluate("[...document.querySelectorAll('figure > svg')].filter(s => s.checkVisibility())" + CLASSES)
    assert shown == (["narrow"] if width < 672 else ["wide"]) * 4
    heights = page.evaluate(BOXES, "figure > svg text")
    assert min(height for _, height in heights) >= 10
    assert max(right for right, _ in page.evaluate(BOXES, "main *")) <= width
    taken = keep(page, f"story-{width}")
    assert int.from_bytes(taken[16:20]) == width
    assert len(taken) > 50_000
    page.context.close()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(
    browser: Browser, pages: Path, scheme: Literal["light", "dark"], width: int
) -> None:
    """Contrast of at least 4.5 to 1 for every text: WCAG's AA."""
    page, _ = opened(browser, pages / "story.html", width, scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    for selector in ("h1", ".lead", ".faint", ".verdict", "td", "th", ".finding dt", "summary", "svg text.ink"):
        found = page.evaluate(CONTRAST, selector)
        assert found, selector
        assert min(found) >= 4.5, selector
    if scheme == "dark":
        keep(page, f"story-{width}-{scheme}")
    page.context.close()


def test_hostile_text_is_dead_in_a_browser(browser: Browser, pages: Path) -> None:
    """A browser's own parser makes exactly the elements of the harmless page, and nothing happens."""
    attacked, heard = opened(browser, pages / "hostile.html", 360)
    tame, _ = opened(browser, pages / "harmless.html", 360)
    assert attacked.evaluate(TREE) == tame.evaluate(TREE)
    assert heard == [(pages / "hostile.html").as_uri()]
    assert attacked.evaluate("document.querySelectorAll('script, img, a, iframe, [onload], [onerror]').length") == 0
    assert attacked.evaluate("document.documentElement.scrollWidth") == 360
    keep(attacked, "hostile-360")
    attacked.context.close()
    tame.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (A4_PX, "light"), (1280, "dark")])
def test_the_quarterly_report_fits_and_can_be_read(
    browser: Browser, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    """As the page of a run: nothing loads, nothing sticks out, and all text has contrast; its links lead somewhere."""
    runs = [run(told) for told in two_quarters()]
    legs = (LegPlan(leg="primary", sla=0.99), LegPlan(leg="standby", sla=0.98))
    money = Money(currency="EUR", revenue_per_hour=400.0, gateway_per_month=100.0)
    result = assemble(runs, plan(rto_s=1.2, target=0.999, legs=legs, money=money, outages_per_quarter=4.0), Register())
    path = tmp_path / "quarter.html"
    path.write_bytes(quarter_html.render(result))
    page, heard = opened(browser, path, width, scheme)
    assert heard == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert max(right for right, _ in page.evaluate(BOXES, "main *")) <= width
    shown = page.evaluate("[...document.querySelectorAll('figure > svg')].filter(s => s.checkVisibility())" + CLASSES)
    assert shown == (["narrow"] if width < 672 else ["wide"]) * 2
    for selector in ("h1", ".lead", ".verdict", ".faint", "td", "th", "dt", "a", ".loud", "svg text"):
        found = page.evaluate(CONTRAST, selector)
        assert found, selector
        assert min(found) >= 4.5, selector
    assert page.evaluate("[...document.links].every(a => document.getElementById(a.hash.slice(1)))")
    assert page.evaluate("document.links.length") == 15
    keep(page, f"quarter-{width}-{scheme}")
    page.context.close()


def test_it_prints_on_a4(browser: Browser, pages: Path) -> None:
    """A4 pages; the wide plots, though the screen is a phone's; what only a screen can open is left out."""
    page, _ = opened(browser, pages / "story.html", 360, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.is_visible("details.screen")
    page.emulate_media(media="screen")
    written: bytes = page.pdf(prefer_css_page_size=True)
    boxes = {tuple(map(float, found)) for found in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", written)}
    assert {(round(width / 72 * 25.4), round(height / 72 * 25.4)) for width, height in boxes} == {(210, 297)}
    assert 3 <= len(re.findall(rb"/Type /Page\b", written)) <= 12
    page.context.close()
