"""The HTML report: what it shows is what the history says, nothing in it is alive, and it stays small."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import msgspec
import pytest
from calibration.story import history
from hostile import ATTACKS, harmless, hostile

from drills.events import ArrivalSent, FaultSwitched, Limits
from drills.verdict import Judged, judged
from reports import html, plots
from reports.picture import picture
from reports.scale import Scale, bin_width_s, linear, short_time, step, times
from reports.svg import bad_style, leg_style

pytestmark = pytest.mark.clock

VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """Everything that a browser would make of a page: tags with their attributes, and the texts."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag without content."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Every tag is closed in its order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.texts.append(data)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """The tags and the names of their attributes. What may break a long word is no difference."""
        return [(tag, tuple(sorted(a for a in attrs if attrs[a] != "any"))) for tag, attrs in self.tags]

    @property
    def text(self) -> str:
        """All of it, with plain spaces."""
        return " ".join("".join(self.texts).replace("\u00a0", " ").split())


def told(story: str, **also: object) -> Judged:
    """A judged story."""
    return judged(history(story, **also), "story")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def attacked() -> Page:
    """The page of the hostile run."""
    return Page(html.render(hostile()))


def test_hostile_text_makes_no_element_and_no_attribute(attacked: Page) -> None:
    """The page has exactly the elements of the same run with harmless texts."""
    assert attacked.shape == Page(html.render(harmless())).shape
    assert attacked.open == []


def test_hostile_text_is_shown_as_text(attacked: Page) -> None:
    """It is not swallowed either: a reader sees what the gateway said."""
    assert "<script>alert(1)</script>" in attacked.text
    assert "{{ 7 * 7 }}" in attacked.text
    assert "49" not in re.findall(r"\{\{ (\S+) \}\}", attacked.text)


def test_nothing_in_the_page_can_run_load_or_hide(attacked: Page) -> None:
    """No script, no handler, no address, no invisible character; and the page forbids itself to load anything."""
    names = {name for tag, attrs in attacked.tags for name in attrs}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"src", "href", "style", "action", "srcdoc", "xlink:href"}
    assert not {tag for tag, _ in attacked.tags} & {"script", "img", "a", "iframe", "object", "link", "form", "evil"}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufffe]", attacked.text)
    policy = next(attrs["content"] for tag, attrs in attacked.tags if attrs.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    page = html.render(hostile()).decode()
    assert [url for url in re.findall(r"url\(([^)]*)\)", page) if not url.startswith("#")] == []


def test_ten_megabytes_of_an_answer_stay_outside() -> None:
    """The page of the hostile run is as small as any."""
    assert len(html.render(hostile())) < 400_000


def test_every_svg_is_well_formed_and_speaks() -> None:
    """Each plot has a title and a description for those who do not see it; text is text."""
    svgs = re.findall(r"<svg.*?</svg>", html.render(hostile()).decode(), re.DOTALL)
    shown = [root for root in map(ET.fromstring, svgs) if root.get("role") == "img"]
    assert len(shown) == 6  # three plots, each wide and narrow: no stream of it got an answer
    for root in shown:
        ids = (root.get("aria-labelledby") or "").split()
        assert [root.find(f"*[@id='{one}']").text for one in ids if one]  # type: ignore[union-attr]
    ids = re.findall(r' id="([^"]+)"', "".join(svgs))
    assert len(ids) == len(set(ids))


# Half of the arrivals of a second each; the story lasts 17 arrivals, a tenth of a second apart, from 1.0 s on.
STORY = "ppp[xxsss]spp"


def test_the_page_begins_with_the_verdict_and_its_sentence() -> None:
    """Whoever reads ten seconds reads the right ones."""
    page = Page(html.render(told(STORY, limits=Limits(lost_at_most=0))))
    head = page.text[page.text.index("FAIL story") :]
    assert head.startswith("FAIL story an expectation was broken; 2 of 11 requests lost, 0 slow; callers were answered")
    assert page.text.index("What happened") < page.text.index("Switchover") < page.text.index("Findings")
    assert "FAIL: lost requests" in page.text


def test_every_request_is_in_exactly_one_bin() -> None:
    """The series add up to the outcomes of the result, in the wide plot and in the narrow one."""
    run = told("ppb[xxcuSnsss]spp")
    for bins in (90, 36, 5, 1):
        shown = picture(run, bins)
        assert shown is not None
        assert shown.axis.bins <= bins + 1
        assert sum(one.total for one in shown.answers) == run.result.requests.due
        totals = {(one.name, one.slow): one.total for one in shown.answers}
        # b, x, x and the cut stream are seen to fail; c is corrupt, u and _ unknown, n was never sent, S is slow.
        assert totals == {
            ("primary", False): 4,
            ("standby", False): 4,
            ("standby", True): 1,
            ("failed", False): 3,
            ("unknown", False): 1,
            ("corrupt", False): 1,
            ("not_started", False): 1,
        }


def test_every_attempt_is_in_exactly_one_bin() -> None:
    """Leg by leg, as in the result."""
    run = told("ppd[xxddss]spp")
    shown = picture(run, 90)
    assert shown is not None
    assert {one.leg: sum(one.totals) for one in shown.attempts} == run.result.attempts.by_leg
    assert {one.leg: sum(one.other) for one in shown.attempts} == {"primary": 5, "standby": 0, "third": 0}


def test_the_moments_are_those_of_the_result() -> None:
    """First failure 1.32, first answer of the standby and recovery 1.56, failback 1.96: read off the story."""
    shown = picture(told("ppp[xxsss]spp"), 90)
    assert shown is not None
    assert [(one.letter, round(one.at_s, 3)) for one in shown.moments] == [
        ("F", 1.32),
        ("S", 1.56),
        ("R", 1.56),
        ("B", 1.96),
    ]
    assert [(one.fault, one.begin_s, one.end_s) for one in shown.windows] == [("f1", 1.25, 1.75)]
    assert shown.windows[0].colour == "#f4a582"  # the colour of `status`, from its own file


def test_a_flapping_fault_is_shaded_while_it_is_on() -> None:
    """On from 1.25, off at 1.45, on again at 1.65, cleared at 1.85: two parts of one window."""
    edges = (
        FaultSwitched(fault="f1", on=False, began_s=1.45, at_s=1.45),
        FaultSwitched(fault="f1", on=True, began_s=1.65, at_s=1.65),
    )
    shown = picture(told("ppp[xxppxx]spp", also=edges), 90)
    assert shown is not None
    (window,) = shown.windows
    assert (window.begin_s, window.end_s) == (1.25, pytest.approx(1.85))
    assert window.spells == ((1.25, 1.45), (1.65, pytest.approx(1.85)))
    root = ET.fromstring(plots.answers(shown, plots.WIDE))  # noqa: S314  our own
    assert len(root.findall("rect[@class='shade']")) == 2


def test_labels_stand_clear_in_the_narrow_plots() -> None:
    """The long name of a leg is whole, and drawn after the lines of the moments; a limit's is beside their badges."""
    run = told("ppp[xxsss]spp")
    shown = picture(run, 36)
    assert shown is not None
    long = "bedrock-us-east-1-claude-sonnet-4-5"
    named = dataclasses.replace(
        shown,
        slow_limit_s=0.05,
        attempts=tuple(dataclasses.replace(one, leg=long) for one in shown.attempts),
    )
    root = ET.fromstring(plots.attempts(named, plots.NARROW))  # noqa: S314  our own
    texts = [(one.get("class"), one.text or "") for one in root.iter("text")]
    labels = [text for kind, text in texts if kind == "ink halo"]
    assert [text.partition(":")[0] for text in labels] == [long] * len(shown.attempts)
    assert [kind for kind, _ in texts][-len(labels) :] == ["ink halo"] * len(labels)
    waits = ET.fromstring(plots.waits(named, plots.NARROW))  # noqa: S314  our own
    (limit,) = [one for one in waits.iter("text") if (one.text or "").startswith("slow: above")]
    begin = float(limit.get("x", "0"))
    badges = [float(one.get("x", "0")) for one in waits.iter("text") if one.text in {"F", "S", "R", "B"}]
    assert len(badges) == 4
    assert not [x for x in badges if begin - 12 < x < begin + len(limit.text or "") * 6]


def test_the_moments_of_two_faults_are_numbered() -> None:
    """So that a reader can tell the switchovers apart."""
    shown = picture(told("ppp[xss{zttt}]ttp"), 90)
    assert shown is not None
    assert [one.letter for one in shown.moments] == ["F1", "S1", "R1", "F2", "S2", "R2", "B1"]


def test_latency_bands_are_the_values_of_their_bin() -> None:
    """Ten answers of 60 ms in the second that begins at 1 s; the slow one took two seconds."""
    shown = picture(told("pppppppppp[SSs]"), 2)
    assert shown is not None
    assert shown.axis.width_s == 1.0
    first, second = shown.latency[0], shown.latency[1]
    assert first is not None
    assert second is not None
    # From 0.5 s, where the timeline begins: five answers; then five, two slow ones and the last.
    assert (first.n, first.low10_s, first.median_s) == (5, None, pytest.approx(0.06))
    assert (second.n, second.least_s, second.most_s) == (8, pytest.approx(0.06), pytest.approx(2.0))


def test_streams_have_a_plot_of_their_own() -> None:
    """Time to the first token, of streams alone."""
    events = history("pppppppppp")
    streamed = [msgspec.structs.replace(e, stream=e.seq < 4) if isinstance(e, ArrivalSent) else e for e in events]
    run = judged(streamed, "story")
    shown = picture(run, 1)
    assert shown is not None
    assert [one.n for one in shown.tokens if one is not None] == [4]
    assert "Time to the first token" in Page(html.render(run)).text
    assert "Time to the first token" not in Page(html.render(told("pppp"))).text


def test_the_table_beside_the_plot_says_the_same() -> None:
    """Its columns add up to the legend."""
    page = html.render(told(STORY)).decode()
    table = page[page.index('<table class="data">') :]
    table = table[: table.index("</table>")]
    rows = [re.findall(r"<span>([^<]*)</span>", row) for row in table.split("<tr>")[2:]]
    assert [sum(int(row[column]) for row in rows) for column in (1, 2, 3)] == [5, 4, 2]
    assert re.findall(r'<th scope="col">([^<]*)</th>', table)[1:] == ["primary", "standby", "failed"]


def test_bars_are_as_high_as_their_counts() -> None:
    """One bin of ten requests a second: eight answered, two failed; the axis ends at ten."""
    shown = picture(told("ppppp[xx]ppp"), 1)
    assert shown is not None
    root = ET.fromstring(plots.answers(shown, plots.WIDE))  # noqa: S314  our own
    paths = [path.get("d") or "" for path in root.iter("path") if "z" in (path.get("d") or "")]
    heights = [float(foot) - float(top) for d in paths for foot, top in re.findall(r",([\d.]+)V([\d.]+)h", d)]
    assert len(heights) == 2
    assert heights[0] / heights[1] == pytest.approx(4, rel=0.01)


def test_a_run_that_never_began_has_a_page() -> None:
    """No picture, and a sentence about it."""
    events = [event for event in history("") if type(event).__name__ != "TimelineStarted"]
    page = Page(html.render(judged(events, "story")))
    assert "The timeline never began" in page.text
    assert not [tag for tag, _ in page.tags if tag == "svg"]


def test_every_failed_request_is_listed_with_its_attempts() -> None:
    """Two requests, each after 20 ms on the primary with its fault."""
    page = Page(html.render(told(STORY)))
    assert page.text.count("+0.01 s primary: faulted by f1, after 0.01 s, status 503") == 2
    assert "2 requests got no good answer." in page.text


@pytest.fixture(scope="module")
def large() -> Judged:
    """A hundred thousand requests, half of them failed in two ways."""
    story = "p" * 30_000 + "[" + "x" * 20_000 + "u" * 20_000 + "s" * 10_000 + "]" + "p" * 20_000
    return judged(history(story), "large")


def test_a_hundred_thousand_requests_are_less_than_two_megabytes(large: Judged) -> None:
    """And what is left out is counted."""
    begin_s = time.monotonic()
    page = html.render(large)
    took_s = time.monotonic() - begin_s
    assert len(page) < 500_000
    assert took_s < 20
    assert "40000 requests got no good answer; 200 are listed" in page.decode()
    assert "39800 left out" in page.decode()
    shown = picture(large, 90)
    assert shown is not None
    assert sum(one.total for one in shown.answers) == 100_000


def test_the_same_history_gives_the_same_bytes() -> None:
    """`drill check` relies on it."""
    assert html.render(told(STORY)) == html.render(told(STORY))


def test_no_two_series_look_the_same() -> None:
    """Ten legs, slow or not, and every bad outcome: each has its own colour and pattern, not the colour alone."""
    styles = [leg_style(number) for number in range(10)] + [leg_style(number, slow=True) for number in range(6)]
    styles += [bad_style(name) for name in ("failed", "unknown", "corrupt", "not_started")]
    assert max(Counter(styles).values()) == 1
    assert len({style.hatch for style in [leg_style(number) for number in range(6)]}) == 6


@pytest.mark.parametrize(
    ("length_s", "at_most", "width_s"),
    [
        # 53 s in at most 90 bins: half seconds would be 106, so whole ones.
        (53, 90, 1),
        (9, 90, 0.1),
        (7200, 36, 300),
        (1e6, 10, 100_800),
    ],
)
def test_bins_have_round_widths(length_s: float, at_most: int, width_s: float) -> None:
    """The smallest that is enough."""
    assert bin_width_s(length_s, at_most) == width_s
    assert bin_width_s(length_s, at_most, at_least_s=width_s * 0.99) == width_s


def test_a_bin_holds_five_requests_at_least() -> None:
    """At ten a second half a second, however short the run: a steady rate must not look like a comb."""
    shown = picture(told("ppp[xxsss]spp"), 90)
    assert shown is not None
    assert shown.axis.width_s == 0.5


def test_axes_are_round() -> None:
    """Steps of 1, 2 and 5; logarithms from a spread of twenty on; nothing divides by zero."""
    assert step(10, 4) == 5
    assert step(0, 4) == 1
    assert linear(9.7, 0, 1).high == 10
    assert linear(0, 0, 1).ticks() == (0, 0.5, 1)
    assert not times(0.1, 1.9, 0, 1).log
    wide = times(0.13, 30, 100, 0)
    assert (wide.log, wide.low, wide.high) == (True, 0.1, 50)
    assert wide.at(0.1) == 100
    assert wide.at(50) == 0
    assert wide.at(9999) == 0
    assert 0 < wide.at(30) < wide.at(1) < 100
    assert times(0.06, 0.06, 0, 1).at(0.06) > 0
    assert Scale(0, 10, 0, 100).ticks() == (0, 5, 10)
    assert [short_time(value) for value in (0, 0.05, 2, 600)] == ["0", "50 ms", "2 s", "10 min"]


def test_every_attack_was_in_the_history() -> None:
    """The hostile run is hostile: its history holds each attack word for word."""
    run = hostile()
    said = [request.done.detail for request in run.ledger.requests if request.done is not None]
    said += [attempt.done.detail for attempt in run.ledger.attempts if attempt.done is not None]
    said += [run.result.scenario.name, *run.result.notes, *run.result.environment, run.result.gateway.name]
    said += [leg.model for leg in run.result.legs] + [leg.region or "" for leg in run.result.legs]
    said += [phase.name for phase in run.result.phases] + [run.result.scenario.objective, run.result.scenario.file]
    assert set(ATTACKS) <= set(said)
    assert max(map(len, said)) > 9_000_000
