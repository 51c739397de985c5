"""One style for all pictures. SVG suits itself to a dark page; the same numbers give the same bytes.

matplotlib comes with the extra `train` and is imported here only, when something is drawn.
"""

import io
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from models.report.measured import ReportError
from models.report.page import Picture

INK, MUTED, GRID, PAPER = "#1e293b", "#5b6b80", "#e2e8f0", "#fffffe"
MODEL, FRAUD, OTHER = "#2f6fd0", "#d9622b", "#8fa3bd"
GROUPS = {"device": "#2f6fd0", "location": "#2a9d8f", "transaction": "#d98e1f", "behaviour": "#8e5ea2"}
ON_DARK = {INK: "#e2e8f0", MUTED: "#94a3b8", GRID: "#2b3648", PAPER: "#172131", MODEL: "#6aa5ff", FRAUD: "#ff935c"}
"""What a colour becomes on a dark page."""
FONTS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
PNG_DPI = 130

STYLE = {
    "svg.hashsalt": "report",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "lines.linewidth": 2,
    "legend.frameon": False,
}


def require() -> None:
    """Raise ReportError where pictures cannot be drawn: better before hours of work than after them."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ReportError(
            "a report's pictures need matplotlib, which is not installed", hint="pip install 'fraudstream[train]'"
        ) from error


def picture(name: str, shows: str, draw: Callable[[Any], None], *, width: float = 9, height: float = 4) -> Picture:
    """What `draw` draws on matplotlib's axes, inches; `name` ends with .svg or .png.

    Raises ReportError without matplotlib.
    """
    require()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    kind = PurePath(name).suffix
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        (FigureCanvasSVG if kind == ".svg" else FigureCanvasAgg)(figure)
        draw(figure.subplots())
        out = io.BytesIO()
        if kind == ".png":
            figure.savefig(out, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None})
            return Picture(name, out.getvalue(), shows)
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=metadata)
    return Picture(name, _suited(out.getvalue().decode()).encode(), shows)


def _suited(svg: str) -> str:
    """The reader's own fonts, and other colours on a dark page."""
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in ON_DARK.items()
        for what in ("fill", "stroke")
    )
    style = f"<style>text{{font-family:{FONTS}!important}}@media (prefers-color-scheme:dark){{{rules}}}</style>"
    head, tag, rest = svg.partition("<defs>")
    return "\n".join(line.rstrip() for line in f"{head}{style}{tag}{rest}".splitlines()) + "\n"
