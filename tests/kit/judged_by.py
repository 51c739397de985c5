"""What a build decided, against a replay by that same build: `python -m kit.judged_by BUNDLE FIELD < bank.json`.

Two builds with other features cannot be compared by one: each is asked about its own decisions, in a process of its
own where it is not the test's. The state is compared in the oldest format, which both know.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from kit import oracle
from kit.bank import Bank
from kit.oracle import AT, Findings
from kit.readback import Found, read
from kit.replay import Replay
from kit.world import World
from models.bundle import Bundle
from models.payer_state import PAYER, PAYER_CODEC

OLDEST = PAYER_CODEC.writing(1)


def described(bank: Bank) -> dict[str, Any]:
    """What another process needs to see the same bank."""
    names = {"bootstrap_servers": bank.bootstrap_servers, "name": bank.name, "partitions": bank.partitions}
    return {**names, "home": str(bank.home), "key": str(bank.world.key), "published": bank.published}


def judged_by(bank: Bank, bundle: Path, *, with_state: bool) -> Findings:
    """The decisions and alerts of one model; with the payers' state if this build can read all of it."""
    found = read(bank)
    bank.bundle = bundle
    expected = Replay(bank, found).run()
    own = found.decisions.filter(pl.col("model") == Bundle.load(bundle).sha256)
    judged = expected.judged.join(own, on=AT, how="semi")
    mine = replace(expected, judged=judged)
    parts = replace(found, decisions=own, alerts=found.alerts.join(own, on=AT, how="semi"))
    findings = Findings(judged.height)
    for compare in (oracle._decisions, oracle._alerts):
        findings = oracle._added(findings, compare(bank, mine, parts, True))
    if with_state:
        state = replace(expected, payers=_oldest(expected.payers))
        changelog = replace(found.changelogs["scoring"], records=_oldest(found.changelogs["scoring"].records))
        on_disk = replace(found.disks["scoring"], records=_oldest(found.disks["scoring"].records))
        same = replace(
            found,
            changelogs={**found.changelogs, "scoring": changelog},
            disks={**found.disks, "scoring": on_disk},
        )
        more = [
            *oracle._payers(state, same),
            *oracle._entities(expected, found, True),
            *oracle._offsets(expected, found),
        ]
        findings = replace(findings, problems=[*findings.problems, *found.unread, *more])
    return findings


def _oldest(records: pl.DataFrame) -> pl.DataFrame:
    """The same records in the oldest format."""
    values = records["value"].to_list()
    decoded = np.zeros(len(values), dtype=PAYER)
    PAYER_CODEC.decode(values, decoded, np.arange(len(values)))
    encoded = OLDEST.encode(decoded, np.arange(len(values)))
    return records.with_columns(pl.Series("value", encoded, dtype=pl.Binary))


def counted(found: Found, field: str) -> dict[str, int]:
    """A field of every payer's record in the changelog, by the payer's token."""
    records = found.changelogs["scoring"].records
    values = records["value"].to_list()
    decoded = np.zeros(len(values), dtype=PAYER)
    PAYER_CODEC.decode(values, decoded, np.arange(len(values)))
    return {key.hex(): int(n) for key, n in zip(records["key"], decoded[field], strict=True)}


def main(bundle: str, field: str) -> None:
    given = json.load(sys.stdin)
    home = Path(given.pop("home"))
    world, published = World(home, Path(bundle), Path(given.pop("key"))), given.pop("published")
    with Bank(given.pop("bootstrap_servers"), home, world, **given) as bank:
        bank.published = published
        findings = judged_by(bank, Path(bundle), with_state=True)
        print(json.dumps({"findings": asdict(findings), "counted": counted(read(bank), field)}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
