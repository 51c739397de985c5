"""The command line's root: quick help, exit codes, errors for people."""

import os
import subprocess
import sys

import pytest
import typer

from fraudstream import __main__ as root
from fraudstream.commands import config as config_command
from fraudstream.errors import UserError

HEAVY = ("numba", "xgboost", "polars", "faust", "sklearn", "pydantic", "numpy")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_help_imports_nothing_heavy_and_lists_every_command():
    code = "import sys\nfrom fraudstream.__main__ import main\ntry:\n    main(['--help'])\nfinally:\n    "
    done = python(code + f"print([m for m in {HEAVY} if m in sys.modules])", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]"), done.stdout
    for command in root.COMMANDS:
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", root.COMMANDS)
def test_every_command_has_help_with_a_summary(run_cli, command):
    done = run_cli(command, "--help")
    assert done.code == 0
    assert "Usage" in done.out


def test_it_runs_as_a_module_too():
    done = subprocess.run(
        [sys.executable, "-m", "fraudstream", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "fraudstream")


def test_the_shell_completes_commands():
    done = python(
        "from fraudstream.__main__ import main; main([])",
        _FRAUDSTREAM_COMPLETE="complete_bash",
        COMP_WORDS="fraudstream con",
        COMP_CWORD="1",
    )
    assert done.stdout.split() == ["config"]


def test_wrong_usage_exits_with_2(run_cli):
    assert run_cli("no-such-command").code == 2
    assert run_cli("config", "--no-such-option").code == 2


@pytest.fixture
def failing(monkeypatch):
    """Make `fraudstream config` raise an error."""

    def arrange(error: BaseException) -> None:
        def fail() -> None:
            raise error

        broken = typer.Typer(invoke_without_command=True)
        broken.callback()(fail)
        monkeypatch.setattr(config_command, "app", broken)

    return arrange


def test_an_error_for_people_is_one_message_and_what_to_do(run_cli, failing):
    failing(UserError("the file [bold]x[/bold] is not there", hint="look elsewhere"))
    done = run_cli("config")
    assert done.code == 1
    assert done.out == ""
    assert done.err == "error: the file [bold]x[/bold] is not there\nwhat to do: look elsewhere\n"


def test_an_unexpected_error_is_one_message_unless_debugging(run_cli, failing, monkeypatch):
    failing(KeyError("oops"))
    done = run_cli("config")
    assert done.code == 1
    assert "unexpected KeyError: 'oops'" in done.err
    assert "Traceback" not in done.err
    monkeypatch.setenv("FRAUDSTREAM_DEBUG", "1")
    assert "Traceback" in run_cli("config").err


def test_an_interrupt_exits_with_130(run_cli, failing):
    failing(KeyboardInterrupt())
    assert run_cli("config").code == 130
