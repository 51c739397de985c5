"""The pages are true: their commands run, what they name exists, and what is made from code has not drifted.

A block of code is run when a comment stands before it: `<!-- walk -->` belongs to the walk-through of README.md, which
runs top to bottom in one directory against a broker of its own, in a smaller size; `<!-- run -->` runs on its own.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from fraudstream.__main__ import app
from fraudstream.settings import PREFIX, Settings
from models import feature_page
from stream import metrics
from stream.topics import Topics, topic_specs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SMALLER = {
    "--payments 200000 --payers 10000": "--payments 8000 --payers 500 --fraud-rate 0.04",
    "fraudstream train": "fraudstream train --trees 40",
}
EXAMPLE = "DCN294206400000160432665801983eca85"
"""The alert that the pages show; another run has others."""
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>walk|run)(?:: (?P<how>\S+))? -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced piece of a page."""

    page: Path
    mark: str | None
    how: str | None
    kind: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands in it; in a console block those behind a prompt, without their output."""
        joined = self.text.replace("\\\n", " ")
        if self.kind == "console":
            return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]
        return [line for line in joined.splitlines() if line and not line.startswith("#")] if self.kind == "sh" else []


def blocks(page: Path) -> list[Block]:
    return [Block(page, **match.groupdict()) for match in BLOCK.finditer(page.read_text())]


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def commands_named(page: Path) -> Iterator[str]:
    """Every `fraudstream …` of a page, in blocks and in the text."""
    for block in blocks(page):
        yield from (command for command in block.commands if command.startswith("fraudstream "))
    text = BLOCK.sub("", page.read_text())
    yield from re.findall(r"`(fraudstream [^`]+)`", text)
    yield from re.findall(r"^    (fraudstream .+)$", text, re.M)


def options_of(command: Any) -> set[str]:
    return {text for parameter in command.params for text in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def all_options() -> set[str]:
    """The options of every command."""

    def of(command: Any) -> set[str]:
        children = (
            [command.get_command(None, name) for name in command.list_commands(None)]
            if hasattr(command, "list_commands")
            else []
        )
        return options_of(command).union(*(of(child) for child in children))

    return of(typer.main.get_command(app))


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_command_and_option_on_a_page_exists(page):
    for text in commands_named(page):
        command: Any = typer.main.get_command(app)
        words = shlex.split(re.sub(r"[…\[\]]", " ", text))[1:]
        while (
            hasattr(command, "list_commands")
            and words
            and re.fullmatch("[a-z-]+", words[0])
            and not words[0].startswith("-")
        ):
            name = words.pop(0)
            if "|" in name:
                break
            command = command.get_command(None, name)
            assert command is not None, f"{text}: there is no command {name}"
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options_of(command), text


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_option_named_alone_exists(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    alone = {
        word
        for quoted in re.findall(r"`([^`\n]+)`", text)
        if not re.match(r"\w", quoted)
        for word in re.findall(r"--[a-z][a-z-]+", quoted)
    }
    assert alone <= all_options() | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_make_target_named_exists(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    text = page.read_text()
    named = set(re.findall(r"`make ([a-z]+)", text)) | set(re.findall(r"^make ([a-z]+)", text, re.M))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def anchors(page: Path) -> set[str]:
    """The headings' anchors, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_file_and_module_named_exists(page):
    quoted = re.findall(r"`([^`\n]+)`", page.read_text())
    packages = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    for name in quoted:
        if re.fullmatch(rf"(?:{packages})/[\w./-]+", name) and not any(
            part.startswith("part-") for part in name.split("/")
        ):
            assert (ROOT / name).exists() or name.startswith("transactions/"), name
        elif module := re.fullmatch(r"(?:\w+=\S+ )*python -m ([\w.]+).*", name):
            path = ROOT / module[1].replace(".", "/")
            assert path.with_suffix(".py").exists() or path.is_dir(), name


def test_hints_in_the_code_name_pages_and_sections_that_exist():
    """As `docs/operations.md, When state and offsets disagree`."""
    for package in ("stream", "agents", "fraudstream", "models", "schemas"):
        for file in (ROOT / package).rglob("*.py"):
            for page, heading in re.findall(r"(docs/[\w/]+\.md)(?:, ([A-Z][\w ]+))?", file.read_text()):
                assert (ROOT / page).exists(), (file, page)
                assert not heading or re.search(rf"^#+ {heading}$", (ROOT / page).read_text(), re.M), (file, heading)


def test_the_page_of_the_features_has_not_drifted():
    assert (ROOT / "docs/features.md").read_text() == feature_page.page(), "run `python -m models.feature_page`"


def test_the_page_of_the_metrics_has_not_drifted():
    assert (ROOT / "docs/metrics.md").read_text() == metrics.page(), "run `python -m stream.metrics`"


def rows(page: Path, section: str) -> list[list[str]]:
    """The cells of a section's tables, without their heads."""
    text = page.read_text().split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_the_settings_are_all_described():
    described = {name.strip("`"): rest for name, *rest in rows(ROOT / "docs/operations.md", "Settings")}
    assert list(described) == list(Settings.model_fields)
    for name, (option, variable, default, text) in described.items():
        field = Settings.model_fields[name]
        assert text == field.description
        assert default.strip("`") == ("" if field.default in (None, "", [], {}) else str(field.default)), name
        assert variable.strip("`") == PREFIX + name.upper() + ("_…" if name == "kafka" else "")
        assert not option or option.strip("`") in all_options()


def test_the_topics_are_all_described():
    described = {
        name.strip("`").replace("APP", "fraudstream"): configs
        for name, _, configs in rows(ROOT / "docs/operations.md", "Topics")
    }
    assert described == {
        spec.name: ", ".join(f"`{name}={value}`" for name, value in spec.configs.items())
        for spec in topic_specs(Topics(), 4)
    }


@pytest.fixture
def environment(tmp_path, monkeypatch) -> Path:
    """A directory of its own, nothing set, the commands on the path."""
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.broker
@pytest.mark.slow
def test_the_walk_through_runs(environment, monkeypatch):
    monkeypatch.setenv(f"{PREFIX}BROKER_DIR", str(environment / "broker"))
    monkeypatch.setenv(f"{PREFIX}METRICS_PORT", "0")
    port = free_port()
    monkeypatch.setenv(f"{PREFIX}BOOTSTRAP_SERVERS", f"127.0.0.1:{port}")
    replaced = {"broker start": f"broker start --port {port} --heap test", "127.0.0.1:9092": f"127.0.0.1:{port}"}
    worker: subprocess.Popen[bytes] | None = None
    try:
        for block in (block for block in blocks(ROOT / "README.md") if block.mark == "walk"):
            if block.how == "background":
                worker = start(block, environment / "worker.log")
            elif block.kind == "python":
                replaced[EXAMPLE] = follow(block, environment / str(block.how))[0]
            elif block.how == "end":
                assert worker is not None
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(20) == 0
                run_all(block, replaced)
            else:
                run_all(block, replaced)
        assert not (environment / "broker").exists()
    finally:
        if worker is not None and worker.poll() is None:
            worker.kill()
        subprocess.run(["fraudstream", "broker", "stop", "--delete"], check=False, capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_all(block: Block, replaced: dict[str, str]) -> str:
    """The commands' output, which must have the first word that the block shows."""
    out = ""
    for command in block.commands:
        for old, new in (SMALLER | replaced).items():
            command = command.replace(old, new)
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        out += done.stdout
    if block.kind == "console":
        shown = [line for line in block.text.splitlines() if line and line != "…" and not line.startswith("$ ")]
        [word] = re.findall(r"[A-Za-z]\w+", shown[0])[:1]
        assert word in out, f"{block.commands} printed no {word}: {out}"
    return out


def start(block: Block, log: Path) -> "subprocess.Popen[bytes]":
    """The worker, once it is ready."""
    [command] = block.commands
    with log.open("wb") as file:
        worker = subprocess.Popen(shlex.split(command), stdout=file, stderr=file)
    until = time.monotonic() + 120
    while not ready(log):
        assert worker.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)
    return worker


def ready(log: Path) -> bool:
    port = re.search(r"\bport=(\d+)", log.read_text())
    if port is None:
        return False
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/health/ready", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def follow(block: Block, script: Path) -> list[str]:
    """The transaction ids that the script printed first."""
    script.write_text(block.text)
    with subprocess.Popen([sys.executable, "-u", str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
    assert all(lines), "no alert came"
    return [line.split()[0] for line in lines]


RUN = [(block, str(block.page.relative_to(ROOT))) for page in PAGES for block in blocks(page) if block.mark == "run"]


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block, _ in RUN], ids=[name for _, name in RUN])
def test_blocks_marked_to_run_do(environment, monkeypatch, broker, topic_name, block):
    monkeypatch.setenv(f"{PREFIX}BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    monkeypatch.setenv(f"{PREFIX}TOPIC_PREFIX", f"{topic_name}.")
    run_all(block, {})
