"""A history against a bundle's drift reference: the figures, and a picture of them."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from fraudstream.errors import UserError
from fraudstream.progress import progress
from models.bundle import Bundle
from models.drift import Drift, Reference, assess
from models.drift_counts import HOUR_MS, count
from models.engine import DUPLICATE
from models.history import featurise
from models.retrain import RetrainPolicy
from models.scoring import Scorer
from stream.history import has_labels, scan_labels, scan_transactions


def compare(
    model: Path, data: str, window: tuple[int | None, int | None], policy: RetrainPolicy
) -> tuple[Reference, Drift]:
    """A bundle's reference, and what a history's payments within a window (epoch ms) say against it.

    Payments before the window are judged too, as the past of those within. Raises BundleError, HistoryError, UserError.
    """
    scorer = Scorer(Bundle.load(model))
    if scorer.reference is None:
        raise UserError(
            f"the bundle {model} does not say what payments were like", hint="train it again with this version"
        )
    start, end = window
    payments = scan_transactions(data, end_ms=end).collect()
    labels = scan_labels(data).collect() if has_labels(data) else None
    with progress("computing features", payments.height) as advance:
        history = featurise(payments, labels, progress=advance)
    times = history.payments["event_time"].to_numpy()
    rows = np.flatnonzero((times >= (start or 0)) & (history.status & DUPLICATE == 0))
    if not rows.size:
        raise UserError(f"{data} holds no payments of that time", hint="check --data, --from and --to")
    features = history.features[rows]
    counts = count(features, scorer.score(features).score, scorer.reference.edges())
    hours = np.unique(times[rows] // HOUR_MS).size
    return scorer.reference, assess(scorer.reference, counts, policy, hours)


def picture(reference: Reference, found: Drift, limit: float) -> str:
    """SVG: a bar for the score and for each feature, those beyond the usual by most on top."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    usual = {"score": reference.score.usual, **{name: bins.usual for name, bins in reference.features.items()}}
    psi = {"score": found.score, **found.features}
    shifted = {*found.shifted, *(["score"] if found.score_shifted else [])}
    names = sorted(psi, key=lambda name: psi[name] - usual[name])
    with mpl.rc_context({"svg.hashsalt": "drift", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(8, 0.18 * len(names) + 1), layout="constrained")
        FigureCanvasSVG(figure)
        axes: Any = figure.subplots()
        axes.barh(names, [psi[name] for name in names], color=["C3" if name in shifted else "C0" for name in names])
        axes.plot([usual[name] + limit for name in names], names, "|", color="black", label="limit, beyond the usual")
        axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xlim(left=0)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.tick_params(axis="y", labelsize=7)
        axes.set_xlabel("population stability index against the model's validation")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return out.getvalue()
