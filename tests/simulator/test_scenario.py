"""Scenario files: the shipped ones load, mistakes are named with what is allowed, a new kind needs no code."""

import re
from datetime import date
from pathlib import Path

import msgspec
import pytest
import yaml

from simulator import scenario
from simulator.attacks.attack import Amounts, Attack
from simulator.config import SimulationConfig
from simulator.scenario import ScenarioError, load, parse, shipped, standard
from simulator.simulation import Simulation

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
KIND = "{weight: 1, amounts: {median_rupees: 500}"


def example() -> str:
    """The scenario that docs/simulator.md shows."""
    return re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[0]


def kinds(config: SimulationConfig, seed: int = 1) -> dict[str, int]:
    found: dict[str, int] = {}
    for slot in Simulation(config).history():
        for kind in slot.labels["kind"]:
            found[kind] = found.get(kind, 0) + 1
    return found


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_loads_and_says_what_happens(name):
    loaded = parse(scenario._shipped(name), f"{name}.yaml")
    assert loaded.kinds
    assert all(attack.about for attack in loaded.kinds.values())


def test_the_standard_scenarios_weights_are_shares():
    assert sum(attack.weight for attack in standard().kinds.values()) == pytest.approx(1)


def test_the_pages_example_loads_and_its_kinds_occur(tmp_path):
    (tmp_path / "mine.yaml").write_text(example())
    mine = load(tmp_path / "mine.yaml")
    own = set(yaml.safe_load(example())["kinds"]) - set(standard().names)
    assert own
    config = SimulationConfig(
        payments=20_000, payers=600, days=20, fraud_rate=0.05, scenario=mine, attacks=dict.fromkeys(own, 1.0)
    )
    assert set(kinds(config)) == {"", *own}


def test_a_file_stands_alone_unless_it_extends_another():
    alone = parse(f"kinds: {{heist: {KIND}}}}}", "f.yaml")
    assert alone.names == ("heist",)
    assert alone.kinds["heist"] == Attack(weight=1, amounts=Amounts(median_rupees=500))
    more = parse(f"extends: standard\nkinds: {{heist: {KIND}}}, app_scam: {{on_call: 0.9}}}}", "f.yaml")
    assert more.names == (*standard().names, "heist")
    assert more.kinds["app_scam"] == msgspec.structs.replace(standard().kinds["app_scam"], on_call=0.9)


@pytest.mark.parametrize(
    ("text", "named", "hint"),
    [
        ("kinds: {heist: " + KIND + ", hand: bot}}", "hand", "hands"),
        ("kinds: {heist: " + KIND + ", hands: robot}}", "key hands: Invalid", "operator"),
        ("kinds: {heist: " + KIND + ", hours: noon}}", "key hours", "night"),
        ("kinds: {heist: " + KIND + ", on_call: 1.5}}", "key on_call", "on_call"),
        ("kinds: {heist: " + KIND + ", payments: [3, 1]}}", "fewest and the most", "payments"),
        ("kinds: {heist: " + KIND + ", from: 2025-12-02, until: 2025-12-01}}", "not before until", "from"),
        ("kinds: {heist: {weight: 1}}", "missing required field `amounts`", "amounts"),
        ("kinds: {heist: {weight: 1, amounts: {median: 3}}}", "median", "median_rupees"),
        ("kinds: {heist: }", "keys are missing", "weight"),
        ("kinds: {Big Heist: " + KIND + "}}", "cannot name a kind", "small letters"),
        ("kinds: {}", "names no kinds", "kinds"),
        ("extends: nothing\nkinds: {heist: " + KIND + "}}", "no shipped scenario", "standard"),
        ("kind: 3\nkinds: {heist: " + KIND + "}}", "unknown key kind", "extends"),
        ("kinds: [", "is not YAML", "Scenarios"),
    ],
)
def test_a_mistake_is_named_with_the_file_the_kind_the_key_and_what_is_allowed(text, named, hint):
    with pytest.raises(ScenarioError) as caught:
        parse(text, "mine.yaml")
    message = str(caught.value)
    assert "mine.yaml" in message
    assert named in message
    assert hint in caught.value.hint
    if "{heist" in text and "extends" not in text and "kind:" not in text:
        assert "heist" in message


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match=r"none\.yaml cannot be read"):
        load(tmp_path / "none.yaml")


def test_a_kind_occurs_only_between_its_dates():
    late = parse(
        f"kinds: {{old: {KIND}, until: 2025-12-22}}, new: {KIND}, from: 2025-12-22, until: 2025-12-28}}}}", "f.yaml"
    )
    config = SimulationConfig(payments=20_000, payers=600, days=20, fraud_rate=0.05, scenario=late)
    first = (date(2025, 12, 22) - date(1970, 1, 1)).days * 86_400_000
    times: dict[str, list[int]] = {"old": [], "new": [], "": []}
    for slot in Simulation(config).history():
        for kind, time in slot.labels.select("kind", "event_time").iter_rows():
            times[kind].append(time)
    assert max(times["old"]) < first <= min(times["new"])
    assert max(times["new"]) < first + 6 * 86_400_000
    assert times["old"]
    assert times["new"]


def test_another_kind_leaves_the_payments_of_the_others_as_they_were():
    def frauds(weights: dict[str, float]) -> set[tuple[str, int]]:
        config = SimulationConfig(payments=20_000, payers=600, days=10, fraud_rate=0.03, attacks=weights)
        rows = [
            slot.labels.filter(kind="app_scam").select("payer", "event_time").rows()
            for slot in Simulation(config).history()
        ]
        return {row for part in rows for row in part}

    alone = frauds({"app_scam": 0.5, "sim_swap": 0.5})
    assert alone == frauds({"app_scam": 0.5, "qr_phishing": 0.5})


def test_every_key_is_described_on_the_page():
    table = PAGE.split("### Keys of a kind", 1)[1].split("\n#", 1)[0]
    described = re.findall(r"^\| `([\w.]+)` \|", table, re.M)
    keys = [field.encode_name for field in msgspec.structs.fields(Attack)]
    assert sorted(described) == sorted(
        [key for key in keys if key != "amounts"]
        + [f"amounts.{field.encode_name}" for field in msgspec.structs.fields(Amounts)]
    )


def test_the_kinds_on_the_page_are_the_standard_ones_with_their_shares():
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (\d+) % \|$", PAGE, re.M)
    assert [(name, about, int(share)) for name, about, share in rows] == [
        (name, attack.about, round(100 * attack.weight)) for name, attack in standard().kinds.items()
    ]
