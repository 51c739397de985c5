"""A model bundle: a directory with the trees, and a manifest of everything needed to use them.

    model.ubj            XGBoost's trees, UBJSON
    second_opinion.ubj   the trees of `models.second_opinion`, where the bundle has one
    manifest.json        `Manifest`: training window, calibration, bands, metrics, sha256 of every other file
    README.md            the model card, written from the manifest
    report.html          what the model was measured on, with pictures; see `models.report`
    drift.json           what payments were like when the model was validated, see `models.drift`

`Bundle.load` verifies the whole directory before XGBoost sees a byte; nothing in it can run code. The sha256 of the
manifest stands for the bundle: it covers the hashes of the files. Hashes tell damage and mix-ups; they do not tell who
wrote a bundle. Whoever may write its directory may write a matching manifest, so keep it writable for releases only,
or compare `Bundle.sha256` with a value kept elsewhere (`fraudstream models verify --sha256`). There is no signature.
"""

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from models.calibration import Calibration
from models.catalogue import CATALOGUE_HASH, FEATURE_NAMES
from models.second_opinion import SecondOpinion
from schemas.alert import ModelRef
from schemas.errors import FraudStreamError
from schemas.types import EventTime, Name, Score, Sha256

if TYPE_CHECKING:
    from xgboost import Booster

FORMAT_VERSION = 2
"""1 has no second opinion, and is still read."""
MANIFEST = "manifest.json"
MODEL = "model.ubj"
SECOND_MODEL = "second_opinion.ubj"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30
MAX_FILES = 64

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
BandName = Literal["low", "elevated", "high", "critical"]
BAND_NAMES: tuple[BandName, ...] = ("low", "elevated", "high", "critical")


class BundleError(FraudStreamError):
    """A directory that is no bundle this build can use. The model that decides stays in place."""


class Band(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scores from `from_score` up to the next band, with what a threshold there would do, as measured on validation."""

    name: BandName
    from_score: Score
    false_positive_rate: Share
    """Share of the honest payments with this score or more."""
    recall: Share
    """Share of the frauds with this score or more."""


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Payments by event time, epoch ms, `start` included and `end` not; how many, and how many known frauds."""

    start: EventTime
    end: EventTime
    payments: Count
    frauds: Count


class Spread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure measured several times, on folds or with seeds; None where it does not exist."""

    mean: float | None
    sd: float | None
    """Standard deviation of `values`."""
    low: float | None
    """The mean's 95 % interval, with `high`."""
    high: float | None
    values: tuple[float, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a model. Times in epoch ms."""

    format_version: Annotated[int, Meta(ge=1)] = FORMAT_VERSION
    name: Annotated[Name, Meta(min_length=1)]
    created_at: EventTime
    feature_names: tuple[str, ...] = FEATURE_NAMES
    catalogue_hash: Sha256 = CATALOGUE_HASH
    train: Window
    """What the trees were fitted on."""
    validation: Window
    """What stopped the growing, calibrated it and gave the bands; later than `train`."""
    test: Window | None = None
    """What `metrics` were measured on; later than `cutoff`. None: there was no later payment."""
    cutoff: EventTime
    """The time of training, as history sees it: verdicts known later were not used."""
    label_delay_ms: Count
    """Payments younger than this at the cutoff were left out: most of their frauds were not known yet."""
    calibration: Calibration
    bands: tuple[Band, Band, Band, Band]
    alert_score: Score
    """Score from which the model flags, where the policy says nothing else."""
    alert_false_positive_rate: Share
    """Share of honest validation payments with that score or more."""
    budget: dict[str, float] = {}
    """What the bank can bear, which chose `alert_score`: see `models.training.budget`."""
    budget_implies: dict[str, float | None] = {}
    """What that score means on validation: alerts a day, precision, recall, with prices the cost."""
    usual: tuple[float | None, ...]
    """Median of each feature over honest training payments; None where it is never known."""
    metrics: dict[str, float | None]
    """See `models.evaluation`."""
    recall_by_kind: dict[str, float] = {}
    """Share of the test frauds with an alert, for each kind of attack."""
    parameters: dict[str, str | int | float | bool]
    """What XGBoost was given."""
    trees: Count
    imbalance: str = "none"
    """How the rarity of fraud was treated in fitting: none, weights or smote."""
    imbalance_compared: dict[str, dict[str, Spread]] = {}
    """Out-of-fold figures under each treatment, where they were compared."""
    out_of_fold: dict[str, Spread] = {}
    """Figures over time-ordered folds before the cutoff, each fold measured on payments later than all it knew."""
    over_seeds: dict[str, Spread] = {}
    """Figures of models grown from several seeds, of which this one had the median validation loss."""
    search: dict[str, str | int | float | bool] = {}
    """How the parameters were searched for; empty: they were given."""
    second_opinion: SecondOpinion | None = None
    """None: the model judges alone."""
    files: dict[str, Sha256] = {}
    """sha256 of every other file of the bundle."""

    def __post_init__(self) -> None:
        if len(self.usual) != len(self.feature_names):
            raise ValueError("usual has not one value a feature")
        if tuple(band.name for band in self.bands) != BAND_NAMES or self.bands[0].from_score != 0:
            raise ValueError("bands are not low from 0, elevated, high and critical")
        starts = [band.from_score for band in self.bands]
        if starts != sorted(starts):
            raise ValueError("bands are not in order")


@dataclass(frozen=True)
class Bundle:
    """A verified bundle."""

    path: Path
    manifest: Manifest
    sha256: str
    """sha256 of the manifest: identifies the bundle."""
    model: bytes = field(repr=False)
    contents: Mapping[str, bytes] = field(repr=False)
    """Every file that the manifest lists, by name, as it was verified."""

    @classmethod
    def load(cls, path: Path) -> "Bundle":
        """Read and verify the bundle in the directory `path`. Raises BundleError."""
        path = Path(path)
        if not path.is_dir():
            raise BundleError(f"there is no model bundle at {path}", hint="make one with fraudstream train --out")
        raw = _read(path, MANIFEST, MAX_MANIFEST_BYTES)
        manifest = _decode(raw, path)
        _check_features(manifest, path)
        if MODEL not in manifest.files or len(manifest.files) > MAX_FILES:
            raise _unusable(path, f"its manifest does not list {MODEL}, or more than {MAX_FILES} files")
        if (manifest.second_opinion is not None) != (SECOND_MODEL in manifest.files):
            raise _unusable(path, f"its manifest tells of a second opinion, or {SECOND_MODEL} is there, but not both")
        contents = {name: _verified(path, name, digest) for name, digest in manifest.files.items()}
        return cls(path, manifest, hashlib.sha256(raw).hexdigest(), contents[MODEL], contents)

    @property
    def ref(self) -> ModelRef:
        """How alerts and decisions name this model."""
        return ModelRef(name=self.manifest.name, sha256=self.sha256)

    def booster(self, threads: int = 1) -> "Booster":
        """The trees, ready to predict on `threads` threads. Raises BundleError when they are not as they should be."""
        return self._booster(MODEL, self.model, self.manifest.trees, threads)

    def second_booster(self, threads: int = 1) -> "Booster | None":
        """The second opinion's trees in the same way; None where the bundle has none."""
        if self.manifest.second_opinion is None:
            return None
        return self._booster(SECOND_MODEL, self.contents[SECOND_MODEL], self.manifest.second_opinion.trees, threads)

    def _booster(self, file: str, content: bytes, trees: int, threads: int) -> "Booster":
        import xgboost

        if not content.startswith(b"{"):  # XGBoost ends the process on an empty model
            raise _unusable(self.path, f"{file} holds no trees")
        try:
            booster = xgboost.Booster({"nthread": threads})
            booster.load_model(bytearray(content))
            booster.set_param({"nthread": threads, "device": "cpu"})
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise _unusable(self.path, f"XGBoost cannot read {file}") from error
        if booster.num_features() != len(FEATURE_NAMES) or tuple(booster.feature_names or ()) != FEATURE_NAMES:
            raise _unusable(self.path, f"the trees of {file} use other features than its manifest says")
        if booster.num_boosted_rounds() != trees:
            raise _unusable(self.path, f"the trees of {file} are not as many as its manifest says")
        return booster


def write_bundle(
    path: Path, manifest: Manifest, model: bytes, extra: Mapping[str, bytes] | None = None, *, overwrite: bool = False
) -> Bundle:
    """Write a bundle with its model card and further files; a reader finds all of it or nothing. Returns it loaded.

    With `overwrite` a bundle at `path` is replaced; anything else there is left alone. Raises BundleError.
    """
    from models.model_card import model_card

    path = Path(path)
    check_target(path, overwrite=overwrite)
    contents = {MODEL: model, "README.md": model_card(manifest, extra or ()).encode(), **(extra or {})}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    contents[MANIFEST] = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, files=digests)))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for name, content in contents.items():
            _write(fresh / name, content)
        fresh.chmod(0o755)
        written = Bundle.load(fresh)
        written.booster()
        written.second_booster()
        _move_into_place(fresh, path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return Bundle.load(path)


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raise BundleError unless a bundle may be written to `path`."""
    is_bundle = (path / MANIFEST).is_file()
    if path.exists() and not (overwrite and is_bundle):
        hint = "choose another directory, or say --overwrite" if is_bundle else "choose a directory that does not exist"
        raise BundleError(f"{path} exists already", hint=hint)


def _move_into_place(fresh: Path, path: Path) -> None:
    """Renames only. Between the two of a replacement there is no bundle for a moment, but never half of one."""
    old = None
    if path.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent)) / path.name
        path.rename(old)
    fresh.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    if old:
        shutil.rmtree(old.parent, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, name: str, limit: int) -> bytes:
    try:
        with (path / name).open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise _unusable(path, f"{name} cannot be read ({error.strerror})") from error
    if len(content) > limit:
        raise _unusable(path, f"{name} is larger than {limit:,} bytes")
    return content


def _verified(path: Path, name: str, digest: str) -> bytes:
    if Path(name).name != name or name.startswith(".") or name == MANIFEST:
        raise _unusable(path, f"its manifest lists {name!r}, which is no file of its own directory")
    content = _read(path, name, MAX_FILE_BYTES)
    if hashlib.sha256(content).hexdigest() != digest:
        raise _unusable(path, f"{name} is not the file that the manifest describes: it was damaged or exchanged")
    return content


class _Version(msgspec.Struct):
    format_version: int


def _decode(raw: bytes, path: Path) -> Manifest:
    try:
        version = msgspec.json.decode(raw, type=_Version).format_version
        if version > FORMAT_VERSION:
            raise BundleError(
                f"the bundle {path} has format {version}, this build reads up to {FORMAT_VERSION}",
                hint="upgrade fraudstream, or train the model with this version",
            )
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unusable(path, f"{MANIFEST} is not valid: {error}") from error


def _check_features(manifest: Manifest, path: Path) -> None:
    if manifest.feature_names == FEATURE_NAMES and manifest.catalogue_hash == CATALOGUE_HASH:
        return
    theirs, ours = set(manifest.feature_names), set(FEATURE_NAMES)
    different = sorted(theirs ^ ours)
    what = f"other features ({', '.join(different[:5])}…)" if different else "features of another order or meaning"
    raise BundleError(
        f"the bundle {path} was trained on {what} than this build computes", hint="train it again with this version"
    )


def _unusable(path: Path, why: str) -> BundleError:
    return BundleError(
        f"the bundle {path} cannot be used: {why}", hint="copy it again from where it was made, or train it again"
    )


def known(value: float) -> float | None:
    """JSON has no NaN: a figure that does not exist is null."""
    return None if math.isnan(value) else float(value)
