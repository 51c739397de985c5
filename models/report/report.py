"""The report on a model, put together: `report.html` and its pictures, as files of the bundle.

    write_bundle(path, trained.manifest, trained.model, report_files(history, trained))

Drawing needs the extra `train`; nothing of it is imported before something is drawn.
"""

from collections.abc import Sequence

from models.history import History
from models.report.measured import Measured, Model, measure
from models.report.page import Figure, Page, Section, Table
from models.report.sections import overview, people, quality, reasons, training, work
from models.report.words import utc

PAGE = "report.html"


def report_files(history: History, trained: Model, tables: Sequence[Table] = ()) -> dict[str, bytes]:
    """The report on what a model was measured on, by file name; `tables` tell what was tried in training.

    Raises ReportError when the history is another one, or matplotlib is not installed.
    """
    return files_of(measure(history, trained), tables)


def files_of(measured: Measured, tables: Sequence[Table] = ()) -> dict[str, bytes]:
    """The page and every picture on it."""
    sections = [
        overview.data(measured),
        work.thresholds(measured),
        work.bands(measured),
        people.kinds(measured),
        quality.rank(measured),
        quality.calibrated(measured),
        work.days(measured),
        people.segments(measured),
        reasons.reasons(measured),
        quality.alone(measured),
        people.errors(measured),
        *training.sections(measured.manifest, tables),
    ]
    return {PAGE: _page(measured, sections).html(), **_pictures(sections)}


def _page(measured: Measured, sections: Sequence[Section]) -> Page:
    manifest = measured.manifest
    where = "a test window that training never saw" if manifest.test else "its validation window"
    return Page(
        title=f"{manifest.name}: how good it is",
        subtitle=(
            f"A fraud model for instant payments, {manifest.trees} boosted trees on {len(manifest.feature_names)}"
            f" features, trained {utc(manifest.created_at)} UTC. Measured on {where}:"
            f" {measured.window.payments:,} payments with {measured.window.frauds:,} frauds, from"
            f" {utc(measured.window.start)} to {utc(measured.window.end)}. Alerts begin at score"
            f" {manifest.alert_score}."
        ),
        tiles=overview.tiles(measured),
        sections=sections,
        foot=(
            "Figures in large type carry the name under which manifest.json holds them. README.md says what the model"
            " is meant for and where its limits are."
        ),
    )


def _pictures(sections: Sequence[Section]) -> dict[str, bytes]:
    pictures = (part.picture for section in sections for part in section.parts if isinstance(part, Figure))
    return {picture.name: picture.content for picture in pictures}
