"""Small drawings as SVG: shapes, patterns, and the styles that tell series apart. Pure.

Why not a plotting library: matplotlib weighs 80 MB with numpy, writes no titles for screen readers and fixed colours,
so a page cannot be light and dark; the others need a script to be read. What a run needs is bars, bands and lines over
bins, and the standard library's ElementTree writes (and escapes) SVG well. A drawing of ours is some ten kilobytes.

Every shape has its colour twice: as an attribute, for renderers without the page's style sheet (the PDF), and as a
class, with which the page overrides it in dark mode. Colours are those of Okabe and Ito, which people with any colour
vision can tell apart, and each has its own pattern, so that colour is never the only sign.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from reports.escape import plain

INK, FAINT, PAGE = "#1a1a1a", "#767676", "#ffffff"
FONT = 13


class Style(NamedTuple):
    """How a series looks. name: of its class. hatch: of its pattern, empty for none.

    hollow: the pattern is drawn in the colour, on the page.
    """

    name: str
    colour: str
    hatch: str
    hollow: bool = False


_LEGS = (
    Style("c0", "#0072b2", ""),
    Style("c1", "#e69f00", "diagonal"),
    Style("c2", "#009e73", "dots"),
    Style("c3", "#cc79a7", "vertical"),
    Style("c4", "#56b4e9", "horizontal"),
    Style("c5", "#f0e442", "counter"),
)
_BAD = {
    "failed": Style("bad", "#d55e00", "cross"),
    "unknown": Style("unknown", "#5b5b5b", "diagonal"),
    "corrupt": Style("corrupt", "#000000", "dots"),
    "not_started": Style("absent", "#d0d0d0", "counter"),
}
OTHER = _BAD["failed"]
HUNG = _BAD["unknown"]

_HATCHES = {
    "diagonal": "M-2,2L2,-2M0,8L8,0M6,10L10,6",
    "counter": "M-2,6L2,10M0,0L8,8M6,-2L10,2",
    "cross": "M0,8L8,0M0,0L8,8",
    "vertical": "M2,0V8M6,0V8",
    "horizontal": "M0,2H8M0,6H8",
    "dots": "M1,2h2M5,6h2",
    "slow": "M0,0H8M0,0V8M0,4H8",
}


def leg_style(number: int, slow: bool = False) -> Style:
    """The style of a leg by its place in the chain. From the seventh on, colours come back with other patterns.

    slow: of its answers that came too late, in the same colour.
    """
    base = _LEGS[number % len(_LEGS)]
    hatch = _LEGS[(number + number // len(_LEGS)) % len(_LEGS)].hatch
    return Style(base.name, base.colour, "slow" if slow else hatch, hollow=slow)


def bad_style(outcome: str) -> Style:
    """The style of an outcome that no caller wanted."""
    return _BAD.get(outcome, OTHER)


def number(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


class Drawing:
    """An SVG under construction. Units are pixels at its natural width.

    ident: begins every id in it, so that many drawings fit on one page.
    """

    def __init__(self, ident: str, width: float, height: float, title: str = "", about: str = "") -> None:
        self._ident = ident
        self._hatched: dict[Style, str] = {}
        self.root = Element("svg", {"viewBox": f"0 0 {number(width)} {number(height)}", "font-size": str(FONT)})
        if title:
            self.root.attrib |= {"role": "img", "aria-labelledby": f"{ident}-title {ident}-about"}
            SubElement(self.root, "title", {"id": f"{ident}-title"}).text = plain(title)
            SubElement(self.root, "desc", {"id": f"{ident}-about"}).text = plain(about, 2000)
        else:
            self.root.attrib |= {"width": number(width), "height": number(height), "aria-hidden": "true"}
        self._defs = SubElement(self.root, "defs")

    def fill(self, style: Style) -> dict[str, str]:
        """The attributes that fill a shape with a style."""
        if not style.hatch:
            return {"class": style.name, "fill": style.colour}
        if style not in self._hatched:
            ident = f"{self._ident}-{style.name}-{style.hatch}"
            self._hatched[style] = ident
            size = {"width": "8", "height": "8"}
            pattern = SubElement(self._defs, "pattern", {"id": ident, "patternUnits": "userSpaceOnUse", **size})
            solid = {"class": style.name, "fill": style.colour}
            page = {"class": "page", "fill": PAGE}
            hatch = {"class": "hatch", "stroke": PAGE} if not style.hollow else {"class": f"s-{style.name}"}
            if style.hollow:
                hatch["stroke"] = style.colour
            SubElement(pattern, "rect", (page if style.hollow else solid) | size)
            lines = {"d": _HATCHES[style.hatch], "stroke-width": "1.5", "fill": "none"}
            SubElement(pattern, "path", lines | hatch)
        return {"fill": f"url(#{self._hatched[style]})"}

    def rect(self, x: float, y: float, width: float, height: float, attributes: dict[str, str]) -> Element:
        """A rectangle."""
        place = {"x": number(x), "y": number(y), "width": number(width), "height": number(height)}
        return SubElement(self.root, "rect", place | attributes)

    def path(self, d: str, attributes: dict[str, str]) -> Element:
        """A path."""
        return SubElement(self.root, "path", {"d": d} | attributes)

    def line(self, points: tuple[float, float, float, float], attributes: dict[str, str]) -> None:
        """A line from x, y to x, y."""
        x1, y1, x2, y2 = points
        self.path(f"M{number(x1)},{number(y1)}L{number(x2)},{number(y2)}", attributes)

    def text(self, x: float, y: float, said: str, **attributes: str) -> None:
        """One line of text; `anchor` is start, middle or end."""
        style = {"class": "ink", "fill": INK} | {
            {"anchor": "text-anchor", "weight": "font-weight", "kind": "class"}.get(key, key): value
            for key, value in attributes.items()
        }
        SubElement(self.root, "text", {"x": number(x), "y": number(y)} | style).text = plain(said)

    def written(self) -> str:
        """The SVG, to stand in a page of HTML."""
        return tostring(self.root, encoding="unicode")


def hint(shape: Element, text: str) -> None:
    """What a shape says when it is pointed at."""
    SubElement(shape, "title").text = plain(text)


def swatch(ident: str, style: Style) -> str:
    """A small sample of a style, for a legend."""
    drawing = Drawing(ident, 24, 14)
    drawing.rect(0.5, 0.5, 23, 13, drawing.fill(style) | {"stroke": FAINT})
    return drawing.written()
