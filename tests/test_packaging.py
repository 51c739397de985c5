"""The packages at the repository's root belong to this distribution alone, and its command runs."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory) -> list[str]:
    """Files of a wheel built from this tree."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_packages_and_nothing_else(wheel_names):
    found = {name.split("/")[0] for name in wheel_names}
    assert {name for name in found if not name.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_holds_the_lock_of_the_brokers_jars(wheel_names):
    assert "stream/kafka-jars.lock" in wheel_names


def test_the_wheel_holds_the_scenarios(wheel_names):
    assert "simulator/scenarios/standard.yaml" in wheel_names


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_the_name(package):
    # An editable install tells of its packages by a path, so ours may not be listed.
    assert set(packages_distributions().get(package, [])) <= {"fraudstream"}
    for other in sys.path:
        found = Path(other, package)
        assert not (found / "__init__.py").exists() or found == ROOT / package, found


@pytest.mark.parametrize(
    "start", [[str(Path(sys.executable).with_name("fraudstream"))], [sys.executable, "-m", "fraudstream"]]
)
def test_the_command_runs(start):
    shown = subprocess.run([*start, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == f"fraudstream {distribution('fraudstream').version}"
