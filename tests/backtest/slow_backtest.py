"""`fraudstream backtest` in small steps with a pause after each, so that a test can interrupt it half-way."""

import sys
import time

from backtest import merge
from backtest.run import Run
from fraudstream.__main__ import main

merge.AT_ONCE = 500
_pass = Run._pass


def _slowly(self: Run, *given: object) -> None:
    _pass(self, *given)  # type: ignore[arg-type]
    time.sleep(0.2)


Run._pass = _slowly  # type: ignore[method-assign]

if __name__ == "__main__":
    main(["backtest", *sys.argv[1:]])
