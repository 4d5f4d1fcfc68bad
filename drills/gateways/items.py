"""Values of a gateway's own config that know where they were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drills.problems import Place


@dataclass(frozen=True)
class Item:
    """One value and its place. Exactly one of `fields` (a mapping), `items` (a list) and `scalar` is meant."""

    place: Place
    scalar: object = None
    fields: dict[object, Item] | None = None
    items: tuple[Item, ...] | None = None
    key_place: Place | None = None

    def get(self, *path: str) -> Item | None:
        """The value under a path of keys; None where there is none, and for a value that was left empty."""
        here: Item | None = self
        for key in path:
            here = here.fields.get(key) if here is not None and here.fields is not None else None
        return here if here is not None and not here.empty else None

    @property
    def empty(self) -> bool:
        """True for a key without a value (YAML null)."""
        return self.scalar is None and self.fields is None and self.items is None

    @property
    def text(self) -> str:
        """The scalar as text; "" for a mapping, a list and null."""
        return "" if self.scalar is None else str(self.scalar)

    def plain(self) -> object:
        """A fresh copy without places: dicts, lists and scalars."""
        if self.fields is not None:
            return {key: item.plain() for key, item in self.fields.items()}
        if self.items is not None:
            return [item.plain() for item in self.items]
        return self.scalar

    def walk(self) -> Iterator[tuple[str, Item]]:
        """Every scalar below, with the key it stands under ("" at the top)."""
        yield from self._walk("")

    def _walk(self, key: str) -> Iterator[tuple[str, Item]]:
        if self.fields is not None:
            for name, item in self.fields.items():
                yield from item._walk(str(name))  # noqa: SLF001 - the same class
        elif self.items is not None:
            for item in self.items:
                yield from item._walk(key)  # noqa: SLF001 - the same class
        else:
            yield key, self
