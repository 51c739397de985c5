"""The banks' applications: which telemetry each reports. Banks and applications are invented."""

from dataclasses import dataclass


@dataclass(frozen=True)
class App:
    """One application and what it can read on a phone."""

    package: str
    bank: str
    """Three letters that begin the bank's transaction ids."""
    handle: str
    share: float
    """Share of customers."""
    hardware: bool = True
    """IMEI and MAC (newer systems withhold them)."""
    fingerprint: bool = True
    """Hashes of applications and fonts, processor."""
    gps: bool = True
    network_place: bool = True
    """Cell tower and place of the network address."""
    behaviour: bool = True


APPS: tuple[App, ...] = (
    App("in.suryabank.upi", "SUR", "@oksurya", 0.32),
    App("in.gangabank.mobile", "GNG", "@ganga", 0.26, hardware=False),
    App("com.tezpaisa.wallet", "TZP", "@tez", 0.22, hardware=False, network_place=False),
    App("in.deccan.pay", "DCN", "@okdeccan", 0.12, behaviour=False),
    App("in.coop.lite", "COP", "@coop", 0.08, hardware=False, fingerprint=False, gps=False, behaviour=False),
)  # fmt: skip
