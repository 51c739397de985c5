"""Whether payments are still like those that the champion was validated on: live, as metrics, with a call to retrain.

The scoring agent shows every step's payments; a sample of them is counted, compiled, while the step is computed. A
thread compares the counts of the last 24 hours with the champion's reference every half a minute. What is counted here
is this worker's partitions, since its start, since this champion took over. A step that was aborted and computed again
is counted twice, and counts are lost with the worker: nothing that is published depends on them.
"""

import threading

import numpy as np

from agents.reporting import Judged
from models.drift import Drift, assess
from models.drift_counts import Window
from models.engine import CLAMPED
from models.retrain import POLICY, RetrainPolicy
from models.scoring import Scorer
from stream.logs import logger
from stream.metrics import METRICS

log = logger("drift")
LOOK_EVERY_S = 30.0
NAMED = 5
"""Features that the call to retrain names, those that shifted most."""
HINT = "compare with `fraudstream models drift`, and train again: see docs/operations.md, Drift"


class DriftWatch:
    """Counts what was judged, and says when the champion should be trained again."""

    def __init__(self, policy: RetrainPolicy = POLICY) -> None:
        self._policy = policy
        self._watched: tuple[Scorer | None, Window | None] = (None, None)
        self._shown: Scorer | None = None
        """Whose figures the gauges hold."""
        self._wanted = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    def see(self, judged: Judged) -> None:
        """Count a step's payments. With another champion, counting begins anew, against its reference."""
        champion, window = self._watched
        if judged.models.champion is not champion:
            champion = judged.models.champion
            window = Window(champion.reference.edges()) if champion.reference else None
            self._watched = (champion, window)  # one assignment: the thread sees both or neither
        if window is None:
            return
        times = np.where(judged.status & CLAMPED, judged.published, judged.payments.rows["event_time"])
        # No payment is newer than now, whatever its publisher's clock says: it would end the window for all others.
        times = np.minimum(times, judged.decided_at).astype(np.int64)
        window.see(judged.features, judged.scores.score, times, judged.status, judged.offsets)

    def look(self) -> Drift | None:
        """Compare, and set the gauges; None where there is nothing to compare with."""
        champion, window = self._watched
        if champion is not self._shown:
            self._shown, self._wanted = champion, False
            METRICS.drift_unknown()
        if champion is None or champion.reference is None or window is None:
            return None
        found = assess(champion.reference, window.total(), self._policy, window.hours)
        METRICS.drift_payments.set(found.payments)
        if found.settled:
            METRICS.drifted(found.features, found.score, len(found.shifted), found.retrain)
            self._tell(champion, found)
        return found

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self.look()

    def _tell(self, champion: Scorer, found: Drift) -> None:
        """Say it once, when it begins and when it ends."""
        if found.retrain == self._wanted:
            return
        self._wanted = found.retrain
        name, count = champion.bundle.manifest.name, len(found.shifted)
        if not found.retrain:
            log.info("payments are again like those that the model was validated on", model=name, count=count)
            return
        named = [*(["score"] if found.score_shifted else []), *found.shifted][:NAMED]
        log.warning(
            "payments are no longer like those that the model was validated on",
            model=name,
            features=", ".join(named),
            count=count,
            payments=found.payments,
            hint=HINT,
        )
