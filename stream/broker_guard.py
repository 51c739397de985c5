"""Runs a command that must not outlive the process that asked for it.

`python -I -S broker_guard.py COMMAND …` with a pipe as standard input: the command ends when the pipe's other end
closes, which the kernel does however its owner died. Being the command's parent, the guard can never hit a stranger
that got the same process id. It passes SIGTERM on and exits with the command's exit code.

A prctl(PR_SET_PDEATHSIG) would be shorter, but is bound to the *thread* that started the command: a broker started in
a thread pool would die with the pool.
"""

import os
import selectors
import signal
import subprocess
import sys

GRACE_S = 10.0
"""From SIGTERM to SIGKILL, once the owner is gone."""


def main(command: list[str]) -> int:
    """Runs the command until it ends, or standard input closes."""
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer)
    for heard in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(heard, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ, "owner")
        selector.register(wake_reader, selectors.EVENT_READ, "signal")
        while child.poll() is None:
            ready = {key.data for key, _ in selector.select()}
            if "owner" in ready:
                return _end(child)
            if signal.SIGTERM in os.read(wake_reader, 1024):
                child.terminate()
    return child.returncode


def _end(child: "subprocess.Popen[bytes]") -> int:
    child.terminate()
    try:
        return child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
