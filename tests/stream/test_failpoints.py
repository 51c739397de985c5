"""Faults on demand: which place, which agent, which passing, what happens."""

import subprocess
import sys

import pytest

from stream.failpoints import ACTIONS, PLACES, FailpointError, parse

PROGRAM = """
from stream.failpoints import failpoint
for agent in ("scoring", "entities", "scoring", "scoring"):
    print(agent, flush=True)
    failpoint("committed", agent)
"""


def run(faults: str, program: str = PROGRAM) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program], env={"FRAUDSTREAM_FAILPOINT": faults}, capture_output=True, text=True
    )


def test_nothing_happens_where_nothing_is_wanted():
    assert run("").returncode == 0
    assert run("persisted").returncode == 0
    assert run("committed:9").returncode == 0


@pytest.mark.parametrize(("fault", "passed"), [("committed", 1), ("committed:2", 2), ("scoring/committed:2", 3)])
def test_the_process_is_killed_at_the_passing_that_was_asked_for(fault, passed):
    ended = run(fault)
    assert ended.returncode == -9
    assert len(ended.stdout.split()) == passed


def test_an_agent_of_another_name_passes():
    assert run("labels/committed").returncode == 0


def test_a_fault_may_raise_or_wait_instead():
    assert "RuntimeError: failpoint committed" in run("committed:2=raise").stderr
    waited = "import time; began = time.monotonic()" + PROGRAM + "print(time.monotonic() - began)"
    assert float(run("committed:1=sleep:200", waited).stdout.split()[-1]) >= 0.2


def test_a_delayed_kill_comes_while_the_process_goes_on():
    ended = run("committed:1=kill:100", PROGRAM + "print('on', flush=True)\nimport time; time.sleep(30)")
    assert ended.returncode == -9
    assert ended.stdout.split()[-1] == "on"


def test_several_faults_may_be_asked_for():
    faults = parse("scoring/computed:3=sleep:20,committed")
    assert [(f.agent, f.left, f.action, f.milliseconds) for f in faults["computed"]] == [("scoring", 3, "sleep", 20.0)]
    assert [(f.agent, f.left, f.action, f.milliseconds) for f in faults["committed"]] == [("", 1, "kill", 0.0)]


@pytest.mark.parametrize("text", ["comitted", "committed:soon", "committed=explode", "committed=sleep:long"])
def test_a_fault_that_there_is_not_is_an_error(text):
    with pytest.raises(FailpointError) as raised:
        parse(text)
    assert raised.value.hint


def test_every_place_is_passed_somewhere(request):
    packages = [request.config.rootpath / package for package in ("stream", "agents")]
    sources = "".join(path.read_text() for package in packages for path in package.glob("*.py"))
    assert [place for place in PLACES if f'failpoint("{place}"' not in sources] == []
    assert ACTIONS[0] == "kill"
