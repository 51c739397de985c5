"""Which models judge: the champion, which decides, and challengers in shadow; replaced while the worker runs.

A release replaces the directory that `--model` names, or moves a symlink to another one. A thread looks after it every
few seconds, off the hot path. What is new is verified, loaded and compared with XGBoost's own predictions as at the
start, and then takes over between two steps. What cannot be used is refused: the model before it stays.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundle import Bundle, BundleError
from models.policy import Decider, Policy
from models.scoring import Scorer
from stream.logs import logger
from stream.metrics import METRICS

log = logger("models")
LOOK_EVERY_S = 2.0
Identity = tuple[str, tuple[tuple[str, int, int, int], ...]] | None
STAYS = "the model before it stays; look at the bundle with `fraudstream models verify`, and release it again"
OUT = "it joins once its directory holds a bundle that can be used"


@dataclass(frozen=True)
class Models:
    """What judges. A step takes it once, so that all its payments have the same models."""

    champion: Scorer
    challengers: tuple[Scorer, ...]
    decider: Decider


class Place:
    """A directory in which bundles appear, and the model that was last taken from it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scorer: Scorer | None = None
        self._tried = self._last = _identity(path)

    def load(self) -> None:
        """Take the bundle that is there. Raises BundleError; the model before it stays then."""
        bundle = Bundle.load(self.path)
        if self.scorer is None or self.scorer.bundle.sha256 != bundle.sha256:
            self.scorer = Scorer(bundle)

    def changed(self) -> bool:
        """Whether something else lies there than was last tried, and has settled since the last look.

        So a bundle is tried once, and not while it is being copied.
        """
        found = _identity(self.path)
        settled, self._last = found == self._last, found
        if not settled or found == self._tried:
            return False
        self._tried = found
        return True


class ModelWatch:
    """Keeps `current` up to date with what lies in the directories of champion and challengers."""

    def __init__(self, champion: Path, challengers: Sequence[Path], policy: Policy) -> None:
        """Raises BundleError for a champion that cannot be used; such a challenger is left out until it can be."""
        self._policy = policy
        self._champion = Place(champion)
        self._challengers = [Place(path) for path in challengers]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)
        self._champion.load()
        for place in self._challengers:
            self._try(place)
        self.current = self._taken()
        _tell(self.current.champion, None)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def look(self) -> None:
        """Take what is new."""
        changed = [place for place in (self._champion, *self._challengers) if place.changed()]
        for place in changed:
            self._try(place)
        if changed:
            before = self.current.champion
            self.current = self._taken()  # one assignment: a step sees the old ones or the new ones
            if self.current.champion is not before:
                _tell(self.current.champion, before)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self.look()

    def _try(self, place: Place) -> None:
        try:
            place.load()
        except Exception as error:  # whatever it is, it must not end the watching
            METRICS.model_rejected.inc()
            known = isinstance(error, BundleError)
            log.error(
                "model refused",
                path=str(place.path),
                error=str(error) if known else type(error).__name__,
                hint=OUT if place.scorer is None else STAYS,
                exc_info=None if known else error,
            )

    def _taken(self) -> Models:
        champion = self._champion.scorer
        assert champion is not None, "loaded at the start"
        challengers = tuple(place.scorer for place in self._challengers if place.scorer is not None)
        return Models(champion, challengers, Decider(self._policy, champion.bundle.manifest))


def _tell(champion: Scorer, before: Scorer | None) -> None:
    now = champion.bundle
    METRICS.model.labels(now.manifest.name, now.sha256).set(1)
    if before is not None:
        METRICS.model.remove(before.bundle.manifest.name, before.bundle.sha256)
        log.info("model taken", model=now.manifest.name, sha256=now.sha256, path=str(now.path))


def _identity(path: Path) -> Identity:
    """What is there, by names, sizes and times of files: another after anything that a release does. None: nothing."""
    try:
        real = path.resolve(strict=True)
        stats = [(file.name, file.stat()) for file in sorted(real.iterdir())]
    except OSError:
        return None
    return str(real), tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
