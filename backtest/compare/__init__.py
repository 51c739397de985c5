"""What models would have caught and cost over the same payments: `compare` makes `metrics.json` of scores."""

from backtest.compare.compare import compare
from backtest.compare.comparison import Comparison
from backtest.compare.settings import CompareSettings

__all__ = ["CompareSettings", "Comparison", "compare"]
