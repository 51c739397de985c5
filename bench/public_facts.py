"""What is publicly known of UPI payments, with sources: what the simulator is held against.

Found as web pages; docs/simulator.md lists them with dates and addresses.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Where a figure comes from."""

    what: str
    date: str
    url: str


BANDS_SOURCE = Source(
    "NPCI's first split by amount, February 2022",
    "2022-03-09",
    "https://www.desidime.com/discussions/for-the-first-time-npci-has-shared-upi-granular-data-on-the-share-of-different-transactions-amount",
)
SPLIT_SOURCE = Source(
    "NPCI figures of July 2025 in Business Standard, by Rediff",
    "2025-08-19",
    "https://m.rediff.com/business/report/how-india-spends-a-revealing-story/20250819.htm",
)
TICKET_SOURCE = Source(
    "Worldline, India Digital Payments Report 1H 2025",
    "2025-10-29",
    "https://worldline.com/en-in/home/top-navigation/media-relations/press-releases/worldline-releases-india-digital-payments-report-for-1H-2025",
)
CATEGORIES_SOURCE = Source(
    "SBI Research on NPCI figures of July 2025, by India Infoline",
    "2025-08-18",
    "https://www.indiainfoline.com/news/banks/upi-daily-transactions-hit-90446-crore-sbi-tops-5-2-billion-transfers",
)
PEAK_SOURCE = Source(
    "NPCI's peak hours, circular of May 2025, by Patrika",
    "2025-05-27",
    "https://www.patrika.com/en/national-news/upi-payment-users-alert-new-rules-incoming-19626132",
)
RECORD_SOURCE = Source(
    "NPCI figures of August and September 2025, by IANS",
    "2025-10-01",
    "https://kd63.com/2025/10/01/upi-sees-31-transaction-count-growth-at-19-63-billion-npci",
)
FRAUD_SOURCE = Source(
    "Ministry of Finance in the Lok Sabha, by IANS",
    "2025-12-15",
    "https://ianslive.in/upi-frauds-worth-rs-805-crore-witnessed-this-fiscal-so-far-minister--20251215175703",
)
SOURCES = (
    BANDS_SOURCE, SPLIT_SOURCE, TICKET_SOURCE, CATEGORIES_SOURCE, PEAK_SOURCE, RECORD_SOURCE, FRAUD_SOURCE,
)  # fmt: skip

BANDS = ("up to ₹500", "₹501 to 2,000", "above ₹2,000")
MERCHANT_BANDS = (0.78, 0.15, 0.07)
PERSON_BANDS = (0.59, 0.20, 0.21)
"""Shares of payments by amount, February 2022."""
MERCHANT_SHARE = 0.6363
"""Share of payments that went to merchants, July 2025."""
MERCHANT_TICKET = 7.34e12 / 12.38e9
"""Rupees a payment to a merchant, July 2025: about 593."""
PERSON_TICKET = (25.08e12 - 7.34e12) / (19.46e9 - 12.38e9)
"""Rupees a payment between persons, July 2025: about 2,506."""
TICKET = 1_348.0
"""Rupees a payment, first half of 2025."""
GROCERIES, DEBT_COLLECTION = 0.243, 0.013
"""Shares of payments to merchants, July 2025."""
PEAK_HOURS = ((10.0, 13.0), (17.0, 21.5))
BUSIEST_OF_AUGUST = 700e6 / 645e6
"""2 August 2025 against the month's daily average; "over 700 million"."""
FRAUD_TICKET = 805e7 / 10.64e5
"""Rupees a reported UPI fraud, April to November 2025: about 7,566."""
