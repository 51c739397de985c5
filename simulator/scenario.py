"""Scenarios: the kinds of attack in a YAML file, checked when it is read.

    scenario = load("holidays.yaml")
    SimulationConfig(scenario=scenario)

A file lists kinds under `kinds`. With `extends: standard` they come on top of the shipped ones: a new name adds a
kind, a known one changes the keys that are given.
"""

import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import yaml

from simulator.attacks.attack import Amounts, Attack
from simulator.errors import SimulatorError

KIND_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
MAX_KINDS = 200


class Scenario(msgspec.Struct, frozen=True):
    """Kinds by name; a payment's kind number is 1 + the kind's position, 0 is honest."""

    kinds: dict[str, Attack]

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds in their order."""
        return tuple(self.kinds)


class ScenarioError(SimulatorError):
    """A scenario file that cannot be used."""


def shipped() -> tuple[str, ...]:
    """Names of the scenarios that come with the simulator."""
    files = resources.files("simulator").joinpath("scenarios").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


@cache
def standard() -> Scenario:
    """The scenario of every simulation that names no other."""
    return parse(_shipped("standard"), "standard.yaml")


def load(path: Path | str) -> Scenario:
    """The scenario of a file. Raises ScenarioError, which names file, kind, key and what is allowed."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path} cannot be read: {error}", hint="Give --scenario a YAML file.") from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Scenario:
    """The scenario that a file's text describes; `file` is named in errors."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioError(f"{file} is not YAML: {error}", hint="See docs/simulator.md, Scenarios.") from None
    if not isinstance(content, dict) or not isinstance(content.get("kinds"), dict) or not content["kinds"]:
        raise ScenarioError(
            f"{file} names no kinds", hint="Write them under `kinds:`; see docs/simulator.md, Scenarios."
        )
    if unknown := sorted(str(key) for key in set(content) - {"about", "extends", "kinds"}):
        raise ScenarioError(f"{file}: unknown key {', '.join(unknown)}", hint="Known keys: about, extends, kinds.")
    merged = _extended(content.get("extends"), file)
    for name, keys in content["kinds"].items():
        if not isinstance(name, str) or not KIND_NAME.fullmatch(name):
            raise ScenarioError(
                f"{file}: {name!r} cannot name a kind",
                hint="Use small letters, digits and _, up to 40, a letter first.",
            )
        if not isinstance(keys, dict):
            raise ScenarioError(f"{file}, kind {name}: its keys are missing", hint=_known(Attack))
        merged[name] = merged.get(name, {}) | keys
    if len(merged) > MAX_KINDS:
        raise ScenarioError(f"{file} has {len(merged)} kinds", hint=f"A scenario holds at most {MAX_KINDS}.")
    return Scenario({name: _attack(keys, file, name) for name, keys in merged.items()})


def _extended(name: object, file: str) -> dict[str, dict[str, Any]]:
    if name is None:
        return {}
    if name not in shipped():
        raise ScenarioError(
            f"{file} extends {name}, which is no shipped scenario", hint=f"Shipped ones: {', '.join(shipped())}."
        )
    return {kind: dict(keys) for kind, keys in yaml.safe_load(_shipped(str(name)))["kinds"].items()}


def _shipped(name: str) -> str:
    return resources.files("simulator").joinpath("scenarios", f"{name}.yaml").read_text(encoding="utf-8")


def _attack(keys: dict[str, Any], file: str, kind: str) -> Attack:
    try:
        return msgspec.convert(keys, Attack)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        struct, key = _place(where.strip("`"))
        allowed = _allowed(struct, key)
        place = f"{file}, kind {kind}" + (f", key {key}" if key else "")
        raise ScenarioError(f"{place}: {what}", hint=allowed or _known(struct)) from None


def _place(path: str) -> tuple[type[msgspec.Struct], str]:
    """The struct and key that msgspec's `$.amounts.spread` stands for."""
    names = re.findall(r"\.(\w+)", path)
    if names and names[0] == "amounts":
        return Amounts, names[1] if len(names) > 1 else ""
    return Attack, names[0] if names else ""


def _allowed(struct: type[msgspec.Struct], key: str) -> str:
    """The values that a key with a choice of names takes."""
    field = next((field for field in msgspec.structs.fields(struct) if field.encode_name == key), None)
    if field is None:
        return ""
    options = [field.type, *get_args(get_type_hints(struct)[field.name])]
    names = [name for option in options if get_origin(option) is Literal for name in get_args(option)]
    return f"Allowed: {', '.join(names)}." if names else ""


def _known(struct: type[msgspec.Struct]) -> str:
    return f"Known keys: {', '.join(field.encode_name for field in msgspec.structs.fields(struct))}."
