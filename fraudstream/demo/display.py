"""What the terminal shows while payments stream: how fast, and the newest alerts with their reasons in words.

An analyst needs some seconds to read an alert, and more come than that: the screen takes a new one in every
`DWELL_S`, and says how many there were. What an attack really was is not shown: the summary tells.
"""

import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from fraudstream.demo.summary import ms
from fraudstream.demo.watch import Figures, label_of
from fraudstream.times import show_time
from schemas.alert import Alert

DWELL_S = 1.5
PLAIN_EVERY_S = 5.0
PLAIN_ALERTS = 3
"""Alerts printed with each plain line."""
MAX_SHOWN = 12
MAX_WAITING = 1_000
REASONS = 3
HEAD_LINES = 8
"""Lines above the alerts."""
WIDE = 120
STYLES = {"critical": "bold white on red", "high": "bold black on yellow", "elevated": "bold black on cyan"}


@dataclass(frozen=True)
class Title:
    """What does not change during a run."""

    model: str
    sha256: str
    trees: int
    threshold: int
    customers: int
    days_a_second: float
    fraud_rate: float
    seconds: float
    rate: float


@dataclass(frozen=True)
class Now:
    """What does."""

    elapsed_s: float
    published: int
    rate: float
    figures: Figures

    @property
    def backlog(self) -> int:
        return max(0, self.published - self.figures.decided)


class Display(Protocol):
    """Told of every alert from the reading thread, and of the figures some times a second."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def alert(self, alert: Alert) -> None: ...

    def update(self, now: Now) -> None: ...


def display(console: Console, title: Title) -> Display:
    """The screen, or plain lines without a terminal."""
    return Screen(console, title) if console.is_terminal else Lines(console, title)


class Screen:
    """A live picture that fits the terminal, whatever its size."""

    def __init__(self, console: Console, title: Title) -> None:
        self._console = console
        self._title = title
        self._waiting: deque[Alert] = deque(maxlen=MAX_WAITING)
        self._shown: deque[Alert] = deque(maxlen=MAX_SHOWN)
        self._changed = 0.0
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def alert(self, alert: Alert) -> None:
        self._waiting.append(alert)

    def update(self, now: Now) -> None:
        if self._waiting and time.monotonic() - self._changed > DWELL_S:
            self._shown.appendleft(self._waiting[-1])
            self._waiting.clear()
            self._changed = time.monotonic()
        self._live.update(self._picture(now), refresh=True)

    def _picture(self, now: Now) -> RenderableType:
        wide = self._console.width >= WIDE
        room = max(1, (self._console.height - HEAD_LINES - 1) // (REASONS + 3))
        alerts = [alert_block(alert, wide) for alert in list(self._shown)[:room]]
        return Group(_header(self._title, now), "", _figures(now), Rule(_alerts_title(now), style="dim"), *alerts)


def _header(title: Title, now: Now) -> RenderableType:
    first = Table.grid(expand=True)
    first.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    first.add_column(no_wrap=True, justify="right")
    clock = f"{min(now.elapsed_s, title.seconds):.0f} of {title.seconds:.0f} s"
    first.add_row(Text.assemble(("FraudStream", "bold"), "  one worker, a real Kafka, exactly once"), Text(clock))
    hours = title.days_a_second * 24
    rest = (
        f"model {title.model} {title.sha256[:12]}, {title.trees} trees, alerts from score {title.threshold} of 1000",
        f"{title.customers:,} simulated customers, {hours:.1f} h a second, fraud raised to {title.fraud_rate:.1%}",
    )
    return Group(first, *(_line(text, "dim") for text in rest))


def _figures(now: Now) -> RenderableType:
    figures = now.figures
    speed = _line()
    for value, name in ((now.rate, "/s"), (figures.decided, " decided"), (now.backlog, " waiting")):
        speed.append(f"{value:,.0f}", style="bold").append(f"{name}   ", style="dim")
    for name, percent in (("to alert p50 ", 50), ("  p99 ", 99)):
        speed.append(name, style="dim").append(ms(figures.latency_ms(percent)), style="bold")
    alerts = _line()
    alerts.append(f"{len(figures.alerted):,}", style="bold").append(" alerts   ", style="dim")
    for name in (*STYLES, *sorted(figures.bands.keys() - STYLES.keys())):
        alerts.append(f"{figures.bands[name]:,}", style="bold").append(f" {name}   ", style="dim")
    return Group(speed, alerts)


def _line(text: str = "", style: str = "") -> Text:
    """One line, cut where the terminal ends."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _alerts_title(now: Now) -> Text:
    count = len(now.figures.alerted)
    return Text(f"newest of {count:,} alerts, and why" if count else "alerts", style="dim")


def alert_block(alert: Alert, wide: bool) -> RenderableType:
    """One alert: what, how sure, how much, what decided, its strongest reasons; always the same number of lines."""
    head, label = _line(), label_of(alert)
    head.append(f" {label} {alert.score} ", style=STYLES.get(label, "bold reverse"))
    head.append(f"  ₹{alert.amount / 100:,.0f}", style="bold")
    head.append(f"  customer {alert.payer_token[:8]} to {alert.payee_token[:8]}", style="dim")
    if wide:
        head.append(f"  {show_time(alert.event_time)[:16]}  payment {alert.transaction_id}", style="dim")
    lines = [_line(f"   • {reason.sentence}") for reason in alert.reasons[:REASONS]]
    return Group(head, _line(f"   {alert.summary}"), *lines, *[""] * (REASONS - len(lines)), "")


class Lines:
    """A line of figures every few seconds with some of the alerts since the last one."""

    def __init__(self, console: Console, title: Title) -> None:
        self._console = console
        self._title = title
        self._alerts: deque[Alert] = deque(maxlen=PLAIN_ALERTS)
        self._told = 0.0

    def __enter__(self) -> Self:
        title = self._title
        self._say(
            f"streaming {title.rate:,.0f} payments/s for {title.seconds:g} s, fraud raised to {title.fraud_rate:.1%};"
            f" model {title.model} {title.sha256[:12]}, {title.trees} trees, alerts from score {title.threshold}"
        )
        self._told = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing to put back."""

    def alert(self, alert: Alert) -> None:
        self._alerts.append(alert)

    def update(self, now: Now) -> None:
        if time.monotonic() - self._told < PLAIN_EVERY_S:
            return
        self._told = time.monotonic()
        figures = now.figures
        bands = ", ".join(f"{count:,} {band}" for band, count in figures.bands.most_common())
        self._say(
            f"{now.elapsed_s:.0f} s: {figures.decided:,} payments decided, {now.rate:,.0f}/s, backlog {now.backlog:,},"
            f" publication to alert p50 {ms(figures.latency_ms(50))} p99 {ms(figures.latency_ms(99))},"
            f" alerts: {bands or 'none yet'}"
        )
        while self._alerts:
            alert = self._alerts.popleft()
            why = "; ".join([str(alert.summary), *(reason.sentence for reason in alert.reasons[:REASONS])])
            self._say(f"  alert {label_of(alert)} {alert.score}, ₹{alert.amount / 100:,.0f}: {why}")

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)
