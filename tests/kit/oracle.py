"""The oracle: what a run left, against what it ought to have left.

    bank.finish()
    bank.stop()
    findings = audit(bank)
    assert findings.clean, findings

Lost: a payment without decision, or flagged without alert, or an unreadable record without dead letter. Doubled: more
than one of it. Disordered: decisions of a partition, or a payer's alerts, in another order than the payments. All else
that differs is a problem: other features or scores, other bytes in the changelog or in RocksDB, other offsets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from kit.bank import Bank
from kit.readback import AGENTS, STATE, Found, counted, read
from kit.replay import JUDGED, Expected, Replay
from models import entity_state
from models.engine import TTL_MS
from models.entity_state import ENTITY, ENTITY_CODEC
from models.payer_state import PAYER, PAYER_CODEC
from schemas.alert import alert_id
from schemas.entity_activity import LAYERED, OUTFLOW
from schemas.entity_risk import entity_key
from schemas.types import ENTITY_KINDS

AT = ["partition", "offset"]
SHOWN = 8
"""Problems named when a test fails."""


@dataclass(frozen=True, repr=False)
class Findings:
    """What came out."""

    payments: int
    """Records of the source topic."""
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing missing, nothing extra, nothing else than it should be."""
        return not (self.lost or self.doubled or self.disordered or self.problems)

    def __repr__(self) -> str:
        counts = f"{self.payments:,} payments: {self.lost} lost, {self.doubled} doubled, {self.disordered} disordered"
        more = len(self.problems) - SHOWN
        return "\n- ".join([counts, *self.problems[:SHOWN], *([f"and {more} more"] if more > 0 else [])])


def audit(
    bank: Bank,
    *,
    states: bool = True,
    exactly_once: bool = True,
    bundles: Sequence[Path] = (),
    policy: Path | None = None,
) -> Findings:
    """Read everything back and compare it. `states`: the disks too, for which the workers must have ended.

    Without `exactly_once`, decisions and alerts may come again under the same ids; everything else must hold.
    `bundles` are further models that may have decided, `policy` the one that the workers were given.
    """
    return judge(bank, read(bank, states=states), exactly_once=exactly_once, bundles=bundles, policy=policy)


def judge(
    bank: Bank,
    found: Found,
    *,
    exactly_once: bool = True,
    bundles: Sequence[Path] = (),
    policy: Path | None = None,
) -> Findings:
    """Compare what was found with a replay of the bank's topics."""
    replay = Replay(bank, found, bundles, policy)
    expected = replay.run()
    findings = Findings(expected.judged.height + expected.bad.height, problems=list(found.unread))
    for compare in (_decisions, _alerts, _letters):
        findings = _added(findings, compare(bank, expected, found, exactly_once))
    unknown = set(found.decisions["model"].unique()) - set(replay.models)
    more = [f"decided by a model that nobody gave: {sha}" for sha in sorted(unknown)]
    more += [*_payers(expected, found), *_entities(expected, found, exactly_once), *_offsets(expected, found)]
    return replace(findings, problems=[*findings.problems, *more])


def _added(findings: Findings, part: Findings) -> Findings:
    return Findings(
        findings.payments,
        findings.lost + part.lost,
        findings.doubled + part.doubled,
        findings.disordered + part.disordered,
        findings.problems + part.problems,
    )


def _decisions(bank: Bank, expected: Expected, found: Found, exactly_once: bool) -> Findings:
    """Each payment decided once, in order, and the same way."""
    decisions = found.decisions.sort("partition", "at_partition", "at")
    first = decisions.unique(AT, keep="first", maintain_order=True)
    lost = expected.judged.join(first, on=AT, how="anti").height
    doubled = decisions.height - first.height if exactly_once else 0
    before = pl.col("offset").cum_max().shift().over("partition")
    disordered = first.filter(pl.col("offset") < before).height
    problems = list(_strays("decisions", first, expected.judged))
    if misplaced := decisions.filter(pl.col("at_partition") != pl.col("partition")).height:
        problems.append(f"{misplaced} decisions lie on another partition than their payments")
    both = expected.judged.join(first.select(*JUDGED), on=AT, suffix="_found", maintain_order="left")
    for name in (name for name in JUDGED if name not in AT):
        problems += _differences(f"{name} of decisions", both, name)
    return Findings(0, lost, doubled, disordered, problems)


def _alerts(bank: Bank, expected: Expected, found: Found, exactly_once: bool) -> Findings:
    """Each flagged payment alerted once, a payer's in order, nobody else; the alert says what was decided."""
    alerts = found.alerts.sort("at_partition", "at")
    first = alerts.unique(AT, keep="first", maintain_order=True)
    flagged = expected.judged.filter("flagged")
    if not exactly_once:  # judged again, it may not be flagged any more
        flagged = flagged.join(found.decisions.filter(~pl.col("flagged")), on=AT, how="anti", maintain_order="left")
    lost = flagged.join(first, on=AT, how="anti").height
    doubled = alerts.height - first.height if exactly_once else 0
    # Where payments are judged again, each time under the entity risk of its moment, and a kill may come between an
    # alert and its decision, only what came once of both says the same and in order.
    due, settled = flagged, first
    if not exactly_once:
        due = expected.judged
        for each in (found.decisions, alerts):
            settled = settled.join(each.filter(pl.struct(AT).is_unique()), on=AT, how="semi", maintain_order="left")
    before = pl.col("offset").cum_max().shift().over("at_partition", "payer")
    disordered = settled.filter(pl.col("offset") < before).height
    problems = list(_strays("alerts", first, due))
    both = flagged.join(settled, on=AT, suffix="_found", maintain_order="left")
    for name in ("transaction_id", "probability", "score", "decided_by", "rule"):
        problems += _differences(f"{name} of alerts", both, name)
    ids = [alert_id(bank.topics.transactions, *at) for at in first.select(AT).iter_rows()]
    if strange := first.filter(
        (pl.Series(ids, dtype=pl.String) != pl.col("alert_id"))
        | (pl.col("topic") != bank.topics.transactions)
        | (pl.col("key") != pl.col("payer"))
    ).height:
        problems.append(f"{strange} alerts whose id, topic or key is not that of their payment")
    if both.filter(pl.col("payer") != pl.col("payer_token")).height:
        problems.append("alerts name another payer than their payment's")
    return Findings(0, lost, doubled, disordered, problems)


def _letters(bank: Bank, expected: Expected, found: Found, exactly_once: bool) -> Findings:
    """Each record that cannot be read set aside once, with its bytes and the reason."""
    letters = found.letters
    first = letters.unique(AT, keep="first", maintain_order=True)
    lost = expected.bad.join(first, on=AT, how="anti").height
    doubled = letters.height - first.height if exactly_once else 0
    problems = list(_strays("dead letters", first, expected.bad))
    both = expected.bad.join(first, on=AT, suffix="_found", maintain_order="left")
    for name in ("code", "key", "value"):
        problems += _differences(f"{name} of dead letters", both, name)
    if letters.filter(pl.col("topic") != bank.topics.transactions).height:
        problems.append("dead letters name another topic")
    return Findings(0, lost, doubled, 0, problems)


def _strays(what: str, found: pl.DataFrame, expected: pl.DataFrame) -> Iterator[str]:
    strays = found.join(expected, on=AT, how="anti")
    if strays.height:
        yield f"{strays.height} {what} where there should be none, the first at {_place(strays)}"


def _differences(what: str, both: pl.DataFrame, name: str) -> Iterator[str]:
    differing = both.filter(pl.col(name).ne_missing(pl.col(f"{name}_found")))
    if differing.height:
        due, got = differing.select(name, f"{name}_found").row(0)
        yield f"{differing.height} {what} differ, the first at {_place(differing)}: {due!r:.80} and not {got!r:.80}"


def _place(frame: pl.DataFrame) -> str:
    return "-".join(str(part) for part in frame.select(AT).row(0))


def _payers(expected: Expected, found: Found) -> Iterator[str]:
    """Changelog and disks hold the very bytes that the replay comes to."""
    folded = found.changelogs["scoring"].records
    gone = folded.filter(pl.col("value").is_null())
    dropped = expected.payers.join(gone, on=["partition", "key"], how="semi")
    if dropped.height:
        yield from _dropped(expected, dropped)
    kept = expected.payers.join(gone, on=["partition", "key"], how="anti")
    changelog = folded.drop_nulls("value")
    yield from _state("payers' records in the changelog", kept, changelog)
    if "scoring" in found.disks:
        yield from _state("payers' records on disk", changelog, found.disks["scoring"].records)


def _dropped(expected: Expected, dropped: pl.DataFrame) -> Iterator[str]:
    """A payer may be forgotten only after the time to live, by the newest payment of the partition."""
    everything = _decoded(expected.payers["value"].to_list())
    newest = (
        expected.payers.select("partition", seen=everything["last_seen_ms"]).group_by("partition").agg(pl.max("seen"))
    )
    gone = dropped.select("partition", seen=_decoded(dropped["value"].to_list())["last_seen_ms"])
    wrong = gone.join(newest, on="partition", suffix="_newest").filter(pl.col("seen_newest") - pl.col("seen") <= TTL_MS)
    if wrong.height:
        yield f"{wrong.height} payers were forgotten before their time"


def _decoded(values: list[bytes]) -> np.ndarray:
    records = np.zeros(len(values), dtype=PAYER)
    PAYER_CODEC.decode(values, records, np.arange(len(values)))
    return records


def _state(what: str, expected: pl.DataFrame, found: pl.DataFrame) -> Iterator[str]:
    """Key by key, byte by byte."""
    key = ["partition", "key"]
    missing = expected.join(found, on=key, how="anti")
    extra = found.join(expected, on=key, how="anti")
    differing = expected.join(found, on=key, suffix="_found").filter(pl.col("value") != pl.col("value_found"))
    for fault, frame in (("missing", missing), ("too many", extra), ("different", differing)):
        if frame.height:
            partition, name = frame.select(key).row(0)
            yield f"{frame.height} {what} are {fault}, the first on partition {partition}: {name.hex()}"


def _entities(expected: Expected, found: Found, exactly_once: bool) -> Iterator[str]:
    """What was told of entities, their records in changelog and on disk, and what was published of them."""
    yield from told_amiss(expected.activity, expected.told, exactly_once)
    changelog = found.changelogs["entities"].records.drop_nulls("value")
    both = expected.entities.join(changelog, on=["partition", "key"], how="left", maintain_order="left")
    known = both.drop_nulls("value")
    values = known["value"].to_list()
    kept = np.zeros(len(values), dtype=ENTITY)
    ENTITY_CODEC.decode(values, kept, np.arange(len(values)))
    # How a record was published last depends on where steps ended; everything else follows from the activity.
    ours = expected.entity_records[known["index"].to_numpy()]
    for name in ("published_level", "published_risk"):
        ours[name] = kept[name]
    encoded = ENTITY_CODEC.encode(ours, np.arange(len(ours)))
    due = pl.concat(
        [
            known.select("partition", "key").with_columns(pl.Series("value", encoded, dtype=pl.Binary)),
            both.filter(pl.col("value").is_null()).select(*STATE),
        ]
    )
    yield from _state("entities' records in the changelog", due, changelog)
    if "entities" in found.disks:
        yield from _state("entities' records on disk", changelog, found.disks["entities"].records)
    yield from _published(known, ours, found.risk, exactly_once)


def told_amiss(due: np.ndarray, told: np.ndarray, exactly_once: bool) -> Iterator[str]:
    """Rows of activity that are due and were told, compared whatever their order."""
    if not exactly_once:
        due, told = _whatever_the_risk(due), _whatever_the_risk(told)
    counts = counted(due).join(counted(told), on="row", how="full", coalesce=True, suffix="_told").fill_null(0)
    missing = counts.filter(pl.col("count_told") < pl.col("count")).height
    extra = counts.filter(pl.col("count_told") > pl.col("count")).height
    if missing:
        yield f"{missing} rows of entity activity are missing"
    if extra and exactly_once:
        yield f"{extra} rows of entity activity are told too often"


def _whatever_the_risk(activity: np.ndarray) -> np.ndarray:
    """Rows of activity without what follows from entity risk. A payment that is judged again meets that of another
    moment, and a kill may come between what was told of it and its decision."""
    received = activity[activity["flags"] & OUTFLOW == 0]
    received["flags"] &= ~np.uint8(LAYERED)
    return received


def _published(known: pl.DataFrame, records: np.ndarray, risk: pl.DataFrame, exactly_once: bool) -> Iterator[str]:
    """No news was kept back, and the last that was published of each entity is what its record says."""
    late, _ = entity_state.publishable(records.copy(), np.arange(len(records)))
    if late.any():
        yield f"{np.count_nonzero(late)} entities have news that was not published"
    told = np.flatnonzero((records["published_level"] > 0) | (records["published_risk"] > 0))
    keys = known["key"].gather(told).to_list()
    names = [entity_key(ENTITY_KINDS[key[0] - 1], key[1:].hex()).decode() for key in keys]
    columns = {"entity": names, "due": records["published_risk"][told].astype(np.float64)}
    due = pl.DataFrame(columns, schema={"entity": pl.String, "due": pl.Float64})
    wrong = due.join(risk, on="entity", how="left").filter(pl.col("risk").ne_missing(pl.col("due")))
    if wrong.height and exactly_once:
        yield f"{wrong.height} entities' published risk is not what their records say, the first {wrong['entity'][0]}"


def _offsets(expected: Expected, found: Found) -> Iterator[str]:
    """Committed, the changelog's position and the disks' checkpoints all stand at the end of the source."""
    for agent in AGENTS:
        for partition, end in expected.ends[agent].items():
            stands = {
                "committed": found.offsets[agent].get(partition),
                "the changelog": found.changelogs[agent].positions.get(partition),
            }
            if agent in found.disks:
                stands["the disk"] = found.disks[agent].positions.get(partition)
            for what, offset in stands.items():
                if offset != end:
                    yield f"{agent}, partition {partition}: {what} stands at {offset}, the source ends at {end}"
