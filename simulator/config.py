"""What to simulate: one frozen record, checked when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.arrays import DAY_MS
from simulator.attacks.aspects import ASPECTS
from simulator.errors import SimulatorError
from simulator.scenario import Scenario, standard

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
    """Share of attack campaigns that are adapted, in each of `attacks.aspects.ASPECTS`: human typing speed, GPS near
    home, small amounts, payments spread over days."""
    adapt: Mapping[str, float] = field(default_factory=dict)
    """Aspect → share, where it differs from `adapted`."""
    lookalikes: float = 1.0
    """How often honest customers do what fraud looks like; 0 never, 1 as in life, 2 twice as often."""
    telemetry: float = 0.9
    """Share of customers whose application reports telemetry at all."""
    full_telemetry: bool = False
    """Every payment carries every field: for benchmarks."""
    scenario: Scenario = field(default_factory=standard)
    """The attack kinds there are."""

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
        _known("attack kind", self.attacks, self.scenario.names)
        _known("aspect", self.adapt, ASPECTS)
        for aspect, share in self.adapt.items():
            _within(f"adapt's {aspect}", share, 0, 1)
        if any(weight < 0 for weight in self.attacks.values()) or (self.attacks and sum(self.attacks.values()) <= 0):
            raise SimulatorError("Attack weights must not be negative, and one must be above zero.")
        if not self.attack_weights:
            raise SimulatorError("No attack kind of the scenario has a weight above 0.")
        if all(self.scenario.kinds[name].relay == "proceeds" for name in self.attack_weights):
            raise SimulatorError(
                f"{', '.join(self.attack_weights)} cannot occur alone: it passes on what others bring",
                hint="Give other attack kinds a weight beside it.",
            )

    @property
    def start_ms(self) -> int:
        """Where history begins, epoch ms UTC."""
        return self.end_ms - round(self.days * DAY_MS)

    @property
    def attack_weights(self) -> dict[str, float]:
        """Kind → share of fraudulent payments; the shares add up to 1."""
        weights = dict(self.attacks) or {name: attack.weight for name, attack in self.scenario.kinds.items()}
        total = sum(weights.values()) or 1.0
        return {name: weight / total for name, weight in weights.items() if weight > 0}

    @property
    def adapted_shares(self) -> dict[str, float]:
        """Aspect → share of campaigns adapted in it."""
        return {aspect: self.adapt.get(aspect, self.adapted) for aspect in ASPECTS}


def _known(what: str, given: Mapping[str, float], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise SimulatorError(f"Unknown {what}: {', '.join(unknown)}", hint=f"Known ones: {', '.join(known)}.")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SimulatorError(f"{name} is {value}", hint=f"Choose {name} between {low:g} and {high:g}.")
