"""What to simulate: one frozen record, checked when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.arrays import DAY_MS
from simulator.attacks.kinds import ATTACKS
from simulator.errors import SimulatorError

DEFAULT_END_MS = 1_767_225_600_000
"""2026-01-01 UTC: a fixed end, so that the same seed gives the same bytes on any day."""
MAX_PAYERS = 5_000_000
MAX_PAYMENTS = 1_000_000_000


@dataclass(frozen=True)
class SimulationConfig:
    """`payments` spread over `days` that end at `end_ms`; the world goes on at that density before and after."""

    payments: int = 100_000
    payers: int = 10_000
    fraud_rate: float = 0.003
    """Share of fraudulent payments."""
    seed: int = 1
    days: float = 60.0
    end_ms: int = DEFAULT_END_MS
    """Where history ends, epoch ms UTC."""
    attacks: Mapping[str, float] = field(default_factory=dict)
    """Attack kind → weight (share of fraudulent payments before normalising); kinds left out keep their own
    weight when this is empty, else do not occur."""
    adapted: float = 0.35
    """Share of attack campaigns in their adapted form: human typing speed, GPS near home, small amounts."""
    lookalikes: float = 1.0
    """How often honest customers do what fraud looks like; 0 never, 1 as in life, 2 twice as often."""
    telemetry: float = 0.9
    """Share of customers whose application reports telemetry at all."""
    full_telemetry: bool = False
    """Every payment carries every field: for benchmarks."""

    def __post_init__(self) -> None:
        _within("payments", self.payments, 1, MAX_PAYMENTS)
        _within("payers", self.payers, 50, MAX_PAYERS)
        _within("fraud_rate", self.fraud_rate, 0, 0.5)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("days", self.days, 1 / 24, 3650)
        _within("adapted", self.adapted, 0, 1)
        _within("lookalikes", self.lookalikes, 0, 10)
        _within("telemetry", self.telemetry, 0, 1)
        _within("end_ms", self.end_ms, 1_420_070_400_000, 2_500_000_000_000)
        unknown = sorted(set(self.attacks) - set(ATTACKS))
        if unknown:
            raise SimulatorError(
                f"Unknown attack kind: {', '.join(unknown)}", hint=f"Known kinds: {', '.join(ATTACKS)}."
            )
        if any(weight < 0 for weight in self.attacks.values()) or (self.attacks and sum(self.attacks.values()) <= 0):
            raise SimulatorError("Attack weights must not be negative, and one must be above zero.")

    @property
    def start_ms(self) -> int:
        """Where history begins, epoch ms UTC."""
        return self.end_ms - round(self.days * DAY_MS)

    @property
    def attack_weights(self) -> dict[str, float]:
        """Kind → share of fraudulent payments; the shares add up to 1."""
        weights = dict(self.attacks) or {name: attack.weight for name, attack in ATTACKS.items()}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items() if weight > 0}


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SimulatorError(f"{name} is {value}", hint=f"Choose {name} between {low:g} and {high:g}.")
