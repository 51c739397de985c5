"""The kit of parts: nothing it is given can break the page, and the page needs nothing but itself."""

import math
import re
from html.parser import HTMLParser

import pytest

from models.report import words
from models.report.findings.rates import Rate
from models.report.markup import Markup, element
from models.report.page import Case, Figure, Heading, Note, Page, Paragraph, Picture, Section, Table, Tile

EVIL = """</td><script>alert("1")</script>&'"""


def page(text: str) -> str:
    table = Table((text, "n"), [(text, "1"), (text, "2")], text, marked=frozenset({1}))
    parts = [
        Paragraph(text),
        Note(text),
        Heading(text),
        table,
        Figure(Picture("a.svg", b"<svg/>", text), text, table, half=True),
        Case(text, text, ((text, [text, text]), ("nothing", []))),
    ]
    tile = Tile(text, text, text, text)
    return Page(text, text, [tile], [Section("one", text, text, parts)], text).html().decode()


class Tags(HTMLParser):
    """Fails where tags are not closed in order; gathers attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags(html: str) -> Tags:
    parser = Tags()
    parser.feed(html)
    assert parser.open == []
    return parser


def test_every_text_is_escaped_wherever_it_stands():
    html = page(EVIL)
    parsed = tags(html)
    assert "script" not in parsed.seen
    assert parsed.seen == tags(page("harmless")).seen
    assert ("alt", EVIL) in parsed.attributes
    assert "&lt;/td&gt;&lt;script&gt;" in html


def test_markup_is_not_escaped_twice_and_attributes_of_none_are_left_out():
    assert element("p", element("b", "1 < 2"), " & ", Markup("<i>x</i>")) == "<p><b>1 &lt; 2</b> &amp; <i>x</i></p>"
    assert element("a", "x", class_="y", aria_label=None, href='"') == '<a class="y" href="&quot;">x</a>'


def test_the_page_needs_nothing_but_itself():
    html = page("text")
    parsed = tags(html)
    sources = [value for name, value in parsed.attributes if name == "src"]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert all(value.startswith("#") for name, value in parsed.attributes if name == "href")
    assert not {"script", "link", "iframe", "object"} & set(parsed.seen)
    assert not re.search(r"https?:|@import|url\(", html)


def test_a_table_says_what_it_is_about_and_what_its_heads_are_of():
    parsed = tags(page("text"))
    assert parsed.attributes.count(("scope", "col")) == 4
    assert parsed.attributes.count(("scope", "row")) == 4
    assert parsed.seen.count("caption") == 2
    assert parsed.attributes.count(("class", "marked")) == 2


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (words.percent(0.662), "66.2 %"),
        (words.percent(0.0025, 2), "0.25 %"),
        (words.percent(0.0000412, 2), "0.004 %"),
        (words.percent(1e-9), "under 0.0001 %"),
        (words.percent(0), "0.0 %"),
        (words.percent(math.nan), "–"),
        (words.percent(None), "–"),
        (words.count(45_000), "45,000"),
        (words.count(6.14), "6.1"),
        (words.count(7.0), "7"),
        (words.rupees(999), "₹999"),
        (words.rupees(2_793_838), "₹27.9 lakh"),
        (words.rupees(31_000_000), "₹3.10 crore"),
        (words.one_in(0.025), "1 in 40"),
        (words.one_in(0.75), "75 %"),
        (words.one_in(1), "all"),
        (words.one_in(0), "none"),
        (words.odds(10**-1.6), "1 to 40"),
        (words.odds(1), "1 to 1"),
        (words.odds(2.512), "2.5 to 1"),
        (words.interval(Rate(8, 10)), "49.0 – 94.3 %"),
        (words.interval(Rate(0, 0)), "–"),
        (words.brief(Rate(8, 10)), "80 % (49–94)"),
        (words.plural(1, "day"), "1 day"),
        (words.plural(1.5, "day"), "1.5 days"),
        (words.title("sim_swap"), "sim swap"),
        (words.utc(1_760_077_800_000), "2025-10-10 06:30"),
        (words.india(1_760_077_800_000), "10 Oct 2025, 12:00"),
    ],
)
def test_numbers_are_written_as_people_read_them(written, expected):
    assert written.replace(words.SPACE, " ") == expected
