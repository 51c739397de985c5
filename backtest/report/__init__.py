"""The page of a backtest, for those who decide which model may stop payments: `write_report`."""

from backtest.report.report import write_report

__all__ = ["write_report"]
