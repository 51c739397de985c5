"""Named places where a test may kill the process: `FRAUDSTREAM_FAILPOINT=after-commit:3` kills at the third passing.

Costs one comparison when nothing is set.
"""

import os
import signal

_name, _, _count = os.environ.get("FRAUDSTREAM_FAILPOINT", "").partition(":")
_left = int(_count or 1)


def failpoint(name: str) -> None:
    """Kill this process with SIGKILL, if the environment says so for `name`."""
    global _left
    if name == _name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
