"""A worker that has everything imported when it is told to begin, by a line on standard input.

Most of what a start costs is over by then, so that one kill may follow another soon. Without that line it ends.
"""

import sys

import xgboost  # noqa: F401  # loaded with the model otherwise

import fraudstream.worker  # noqa: F401
from fraudstream.__main__ import main

if __name__ == "__main__" and sys.stdin.readline():
    main(sys.argv[1:])
