"""What a backtest leaves in its directory, and how it is read.

    OUT/run.json             what was run: sources, window, models, policy, label delay, counts; see `Run`
    OUT/scores.parquet       a row a payment of the window, in the order in which they were judged, see `SCORED`
    OUT/features/N.parquet   the features of the same payments in the same order, a Float32 column each, if kept
    OUT/lists.jsonl          the entities that were listed, an entry a line, if any
    OUT/metrics.json         the comparison
    OUT/report.html          the same for people

The champion's columns have the plain names of `JUDGED`; those of a candidate end with `_` and its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from models.policy import DECIDED_BY, Policy
from schemas.errors import FraudStreamError

RUN, SCORES, FEATURES, METRICS, REPORT = "run.json", "scores.parquet", "features", "metrics.json", "report.html"
LISTS = "lists.jsonl"

SCORED: dict[str, pl.DataType] = {
    "transaction_id": pl.String(),
    "event_time": pl.Int64(),  # epoch ms
    "partition": pl.Int32(),  # where it stood in the source
    "offset": pl.Int64(),
    "amount": pl.Int64(),  # paise
    "payer": pl.UInt64(),  # first half of the token, as are the next three; 0 for none
    "payee": pl.UInt64(),
    "device": pl.UInt64(),
    "sim": pl.UInt64(),
    "status": pl.UInt8(),  # status bits of the engine
    "is_fraud": pl.Boolean(),
    "kind": pl.String(),  # "" for an honest payment
    "known_at": pl.Int64(),  # when the verdict became known, epoch ms; null for never, or for no verdict
}
JUDGED: dict[str, pl.DataType] = {
    "probability": pl.Float32(),  # calibrated, 0 to 1
    "score": pl.Int16(),  # 0 to 1000
    "flagged": pl.Boolean(),
    "decided_by": pl.Enum(DECIDED_BY),
    "rule": pl.String(),  # the list or rule that decided; null for the models
    "second_score": pl.Int16(),  # 0 to 1000, of the second opinion; null without one
}
"""What each model says of a payment."""


class ResultError(FraudStreamError):
    """A directory that holds no backtest."""


class Judge(msgspec.Struct, frozen=True, kw_only=True):
    """One of the models compared."""

    name: str
    """Different for each; letters, digits and underscores."""
    champion: bool
    bundle: str
    """Directory of the bundle."""
    model: str
    """The name in its manifest."""
    sha256: str
    threshold: int
    """Score from which it flags."""
    second_threshold: int | None
    """Score from which its second opinion flags; None: it does not."""

    def column(self, name: str) -> str:
        """The name of one of its `JUDGED` columns."""
        return name if self.champion else f"{name}_{self.name}"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What was run. Times are epoch ms of event time."""

    version: int = 1
    command: str
    """As it was typed; of a what-if, after all that it rests on."""
    created_at: int
    source: str
    """In words: a topic and its brokers, or a directory."""
    start: int | None
    """First event time of the window; None: the beginning of the source."""
    end: int | None
    warm_up_ms: int | None
    """How long before the window payments count as the payers' past; None: all there are."""
    label_delay_ms: int | None
    """Verdicts taken as known so long after their payment; None: as the labels say."""
    policy_version: str
    judges: tuple[Judge, ...]
    """The champion first."""
    payments: int
    """In the window."""
    warm_up_payments: int
    frauds: int
    """In the window."""
    unreadable: int
    seconds: float
    notes: tuple[str, ...] = ()
    """What a reader must know: what retention had removed, what was left out."""
    software: str = ""
    """Version of this program."""
    policy: Policy | None = None
    """What `policy_version` stands for; None: the run did not keep it."""
    parent: str | None = None
    """Of a what-if: directory of the backtest whose scores were decided again."""


@dataclass(frozen=True)
class Result:
    """A finished backtest."""

    directory: Path
    run: Run

    @classmethod
    def open(cls, directory: Path) -> "Result":
        """Raises ResultError where none is finished."""
        path = directory / RUN
        if not path.is_file() or not (directory / SCORES).is_file():
            raise ResultError(
                f"{directory} holds no finished backtest", hint="run `fraudstream backtest --out` again: it goes on"
            )
        try:
            return cls(directory, msgspec.json.decode(path.read_bytes(), type=Run))
        except msgspec.DecodeError as error:
            raise ResultError(f"{path} cannot be read: {error}", hint="run the backtest again") from None

    @property
    def judges(self) -> Sequence[Judge]:
        return self.run.judges

    def scores(self) -> pl.LazyFrame:
        """`SCORED` and each judge's `JUDGED`."""
        return pl.scan_parquet(self.directory / SCORES)

    @property
    def has_features(self) -> bool:
        return any((self.directory / FEATURES).glob("*.parquet"))

    def features(self) -> pl.LazyFrame:
        """The features, row by row as in `scores`. Raises ResultError when they were not kept."""
        files = sorted((self.directory / FEATURES).glob("*.parquet"))
        if not files:
            raise ResultError(f"{self.directory} kept no features", hint="run the backtest with --keep-features")
        return pl.scan_parquet(files)
