"""A drawing of a page, with its title and its legend. Data for the templates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One line of a legend. swatch: a drawing."""

    swatch: object
    text: str


@dataclass(frozen=True)
class Figure:
    """A drawing twice, for wide pages and for phones. about: a sentence below the title."""

    title: str
    about: str
    wide: object
    narrow: object
    legend: tuple[Entry, ...] = ()
