"""Markup that cannot be broken by what it holds: every text is escaped unless it was made here."""

import html

VOID = {"img", "meta"}


class Markup(str):
    """HTML, as opposed to text that has yet to be escaped."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | int | None) -> Markup:
    """`<tag attributes>children</tag>`. `class_` is class; an attribute of None is left out."""
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    start = f"<{tag}{named}>"
    return Markup(start) if tag in VOID else Markup(f"{start}{join(children)}</{tag}>")


def join(children: "tuple[str, ...] | list[str]") -> Markup:
    """One after another; what is not markup is text."""
    return Markup(
        "".join(child if isinstance(child, Markup) else html.escape(child, quote=False) for child in children)
    )
