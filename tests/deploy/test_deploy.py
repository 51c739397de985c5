"""The files for containers: what they name exists, and what they ask of the worker it has."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from fraudstream.__main__ import app
from fraudstream.settings import Settings
from stream.broker_jars import KAFKA_VERSION
from stream.metrics import METRICS

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", "")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "fraudstream.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
PROMETHEUS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "fraudstream"}


def panels() -> list[dict[str, Any]]:
    return list(DASHBOARD["panels"])


def expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    for group in ALERTS["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def published_names() -> set[str]:
    """Every series name that the worker's metrics come out as."""
    names = set()
    for name, kind, _, _ in METRICS.described():
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def test_every_metric_that_is_drawn_or_alerted_on_is_published():
    asked = {name for text in expressions() for name in re.findall(r"\bfraudstream_\w+", text)}
    assert asked <= published_names()


def test_every_metric_is_drawn():
    drawn = {name for panel in panels() for target in panel["targets"] for name in re.findall(r"\w+", target["expr"])}
    for name, kind, _, _ in METRICS.described():
        assert (f"{name}_bucket" if kind == "histogram" else name) in drawn, name


def test_every_label_that_is_drawn_is_one_of_its_metric():
    labels = {name: set(names) | {"le", "instance"} for name, _, _, names in METRICS.described()}
    for panel in panels():
        for target in panel["targets"]:
            metrics = {
                re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"fraudstream_\w+", target["expr"])
            }
            known = set.union(*(labels[name] for name in metrics))
            grouped = {
                name.strip() for part in re.findall(r"by \(([^)]*)\)", target["expr"]) for name in part.split(",")
            }
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert grouped | shown <= known, panel["title"]


def test_panels_have_their_own_places_and_descriptions():
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        assert panel["description"]
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_the_dashboard_asks_the_data_source_that_is_provisioned():
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    assert {panel["datasource"]["uid"] for panel in panels()} == {each["uid"] for each in provisioned["datasources"]}


def test_every_alert_says_what_to_do():
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["action"], rule["alert"]


def test_files_that_containers_mount_exist():
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"


def test_files_that_the_image_is_made_from_exist_and_are_sent():
    ignored = (ROOT / ".dockerignore").read_text().split()
    for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


def test_the_image_has_every_package_of_the_wheel():
    import tomllib

    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert all(f"COPY {package}/ {package}/" in DOCKERFILE for package in wheel["packages"])


def test_the_build_backend_comes_from_the_lock():
    pattern = re.search(r"keep = /\^\(([^)]*)\)==/", DOCKERFILE)
    assert pattern
    locked = (ROOT / "requirements" / "dev.txt").read_text()
    assert all(re.search(f"^{name}==", locked, re.MULTILINE) for name in pattern[1].split("|"))


def test_dependencies_between_services_name_services_that_can_satisfy_them():
    for name, service in SERVICES.items():
        needed = service.get("depends_on", {})
        for other in needed:
            assert other in SERVICES, f"{name} needs {other}"
            if isinstance(needed, dict) and needed[other]["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for {other}"


@pytest.mark.parametrize("name", sorted(OURS))
def test_settings_in_the_environment_are_settings(name):
    given = OURS[name]["environment"]
    assert {key.removeprefix("FRAUDSTREAM_").lower() for key in given} <= set(Settings.model_fields)


def commands_run() -> Iterator[list[str]]:
    """Every `fraudstream …` that a container runs."""
    for service in OURS.values():
        if "entrypoint" not in service:
            yield service["command"]
            continue
        for line in service["command"][0].splitlines():
            if "fraudstream " in line:
                yield shlex.split(line.split("fraudstream ", 1)[1])


@pytest.mark.parametrize("arguments", list(commands_run()), ids=lambda arguments: arguments[0])
def test_commands_that_containers_run_are_commands_with_these_options(arguments):
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while hasattr(command, "get_command") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        command = command.get_command(None, name)
        assert command is not None, f"there is no command {name}"
    options = {text for parameter in command.params for text in parameter.opts}
    assert {text for text in rest if text.startswith("--")} <= options


def test_prometheus_asks_the_port_that_the_worker_serves():
    port = SERVICES["worker"]["environment"]["FRAUDSTREAM_METRICS_PORT"]
    assert PROMETHEUS["scrape_configs"][0]["static_configs"][0]["targets"] == [f"worker:{port}"]
    assert f":{port}/health/ready" in SERVICES["worker"]["healthcheck"]["test"][-1]
    assert f"EXPOSE {port}" in DOCKERFILE


def test_the_broker_is_the_one_that_tests_use():
    assert SERVICES["broker"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_images_are_pinned_and_ports_stay_on_this_machine():
    for name, service in SERVICES.items():
        assert name in OURS or re.search(r":v?\d+\.\d+", service["image"]), service["image"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
