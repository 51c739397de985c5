"""A kit of parts for reports: one HTML file that needs nothing else, prints well and can be read without its pictures.

A page is figures in large type, then sections of paragraphs, tables and pictures. A picture says in words what it
shows and carries its numbers in a table. A large figure names where it comes from, so that it can be looked up.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePath
from typing import Protocol

from models.report.markup import Markup, element, join

MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}


class Part(Protocol):
    """Something that stands in a section."""

    def markup(self) -> Markup:
        """The part as HTML."""


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str

    def markup(self) -> Markup:
        return element("p", self.text)


@dataclass(frozen=True)
class Note:
    """Text that must not be overlooked."""

    text: str

    def markup(self) -> Markup:
        return element("p", self.text, class_="note", role="note")


@dataclass(frozen=True)
class Heading:
    """Divides a section."""

    text: str

    def markup(self) -> Markup:
        return element("h3", self.text)


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; numbers stand to the right, the columns in `words` to the left."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str
    words: tuple[int, ...] = (0,)
    marked: frozenset[int] = frozenset()
    """Rows that stand out."""
    half: bool = False
    """Shares its row of the page."""

    def markup(self) -> Markup:
        head = element("tr", *(self._cell("th", i, text, scope="col") for i, text in enumerate(self.head)))
        rows = [
            element("tr", *self._row(row), class_="marked" if number in self.marked else None)
            for number, row in enumerate(self.rows)
        ]
        table = element("table", element("caption", self.caption), element("thead", head), element("tbody", *rows))
        return element(
            "div",
            table,
            class_="scroll half" if self.half else "scroll",
            tabindex=0,
            role="group",
            aria_label=self.caption,
        )

    def _row(self, row: tuple[str, ...]) -> list[Markup]:
        return [self._cell("td" if i else "th", i, text, scope=None if i else "row") for i, text in enumerate(row)]

    def _cell(self, tag: str, column: int, text: str, scope: str | None) -> Markup:
        return element(tag, text, scope=scope, class_=None if column in self.words else "number")


@dataclass(frozen=True)
class Picture:
    """A drawing as a file, .svg or .png, and what it shows in words."""

    name: str
    content: bytes
    shows: str


@dataclass(frozen=True)
class Figure:
    """A picture with its caption, and its numbers behind a line to open."""

    picture: Picture
    caption: str
    numbers: Table | None = None
    half: bool = False
    """Shares its row of the page."""

    def markup(self) -> Markup:
        kind = MEDIA[PurePath(self.picture.name).suffix]
        source = f"data:{kind};base64,{base64.b64encode(self.picture.content).decode()}"
        parts = [element("img", src=source, alt=self.picture.shows), element("figcaption", self.caption)]
        if self.numbers:
            parts.append(element("details", element("summary", "The numbers"), self.numbers.markup()))
        return element("figure", *parts, class_="half" if self.half else None)


@dataclass(frozen=True)
class Tile:
    """A figure in large type, what it means in a sentence, and where it comes from."""

    label: str
    value: str
    meaning: str
    source: str

    def markup(self) -> Markup:
        return element(
            "div",
            element("dt", self.label),
            element("dd", self.value, class_="value", data_source=self.source),
            element("dd", self.meaning),
            element("dd", element("code", self.source), class_="source"),
            class_="tile",
        )


@dataclass(frozen=True)
class Case:
    """One thing looked at closely: a title, and lists of sentences under headings."""

    title: str
    about: str
    lists: Sequence[tuple[str, Sequence[str]]]

    def markup(self) -> Markup:
        lists = [
            element("div", element("h5", heading), element("ul", *(element("li", text) for text in texts)))
            for heading, texts in self.lists
            if texts
        ]
        return element("article", element("h4", self.title), element("p", self.about), *lists, class_="case")


@dataclass(frozen=True)
class Section:
    """A part of a page that its table of contents names; `key` is its address."""

    key: str
    title: str
    lead: str
    parts: Sequence[Part]

    def markup(self) -> Markup:
        heading = element("h2", self.title, id=f"{self.key}-title")
        lead = element("p", self.lead, class_="lead")
        parts = [part.markup() for part in self.parts]
        return element("section", heading, lead, *parts, id=self.key, aria_labelledby=f"{self.key}-title")


@dataclass(frozen=True)
class Page:
    """A report."""

    title: str
    subtitle: str
    tiles: Sequence[Tile]
    sections: Sequence[Section]
    foot: str

    def html(self) -> bytes:
        """The file, UTF-8; the same bytes for the same page."""
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", self.title),
            element("style", _style()),
        )
        links = [element("li", element("a", s.title, href=f"#{s.key}")) for s in self.sections]
        body = element(
            "body",
            element("header", element("h1", self.title), element("p", self.subtitle)),
            element("nav", element("ol", *links), aria_label="Contents"),
            element(
                "main",
                element("dl", *(tile.markup() for tile in self.tiles), class_="tiles"),
                *(section.markup() for section in self.sections),
            ),
            element("footer", element("p", self.foot)),
        )
        return f"<!DOCTYPE html>\n{join([element('html', head, body, lang='en')])}\n".encode()


@cache
def _style() -> Markup:
    return Markup(resources.files("models.report").joinpath("page.css").read_text(encoding="utf-8"))
