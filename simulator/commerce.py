"""What money is spent on: merchant categories with their usual amounts, and the same for payments between persons."""

from dataclasses import dataclass

import numpy as np

from simulator.arrays import Floats


@dataclass(frozen=True)
class Category:
    """A line of business. Amounts are log-normal: `median` rupees, `sigma` of the logarithm."""

    mcc: str
    name: str
    share: float
    """Share of merchants."""
    median: float
    sigma: float
    online: float
    """Share of its payments made from an application or web page rather than at a counter."""


# Shares and amounts meet what NPCI published of July 2025: groceries 24.3 % of payments to merchants, debt collection
# 1.3 % of ₹5,817 each, ₹593 a payment to a merchant and ₹2,506 between persons. The rest is assumed.
CATEGORIES: tuple[Category, ...] = (
    Category("5411", "groceries", 0.24, 125, 0.95, 0.15),
    Category("5812", "restaurant", 0.12, 170, 0.85, 0.25),
    Category("5814", "fast food", 0.13, 78, 0.75, 0.45),
    Category("5541", "fuel", 0.04, 340, 0.8, 0.02),
    Category("4814", "telecom", 0.03, 230, 0.55, 0.98),
    Category("4900", "utilities", 0.04, 560, 0.85, 0.9),
    Category("5311", "department store", 0.05, 360, 1.0, 0.4),
    Category("5912", "pharmacy", 0.08, 190, 0.95, 0.2),
    Category("4121", "taxi", 0.05, 105, 0.7, 0.9),
    Category("4131", "bus", 0.02, 36, 0.9, 0.5),
    Category("5651", "clothing", 0.05, 640, 0.95, 0.35),
    Category("5732", "electronics", 0.02, 1200, 1.25, 0.4),
    Category("8062", "hospital", 0.02, 700, 1.2, 0.1),
    Category("8220", "college", 0.01, 3200, 1.2, 0.7),
    Category("7322", "debt collection", 0.014, 3900, 0.85, 0.9),
    Category("6211", "securities broker", 0.02, 1500, 1.35, 1.0),
    Category("5816", "digital games", 0.02, 80, 0.95, 1.0),
    Category("5462", "bakery", 0.05, 56, 0.75, 0.05),
)
SHARES: Floats = np.array([c.share for c in CATEGORIES]) / sum(c.share for c in CATEGORIES)
MEDIANS: Floats = np.array([c.median for c in CATEGORIES])
SIGMAS: Floats = np.array([c.sigma for c in CATEGORIES])
ONLINE: Floats = np.array([c.online for c in CATEGORIES])

PERSON_MEDIAN, PERSON_SIGMA = 400.0, 1.8
"""Between persons who know each other, rupees."""
HAWKER_MEDIAN, HAWKER_SIGMA = 50.0, 0.8
"""Vegetables, tea, a ride, paid to a personal account, rupees."""
DEPOSIT_MEDIAN, DEPOSIT_SIGMA = 9_000.0, 1.1
"""Deposits, used goods, fees and gifts to somebody paid for the first time, rupees."""
RENT_LOW, RENT_HIGH = 5_000.0, 32_000.0
PERSON_LIMIT = 100_000.0
"""Person to person, a payment and a day, rupees."""
MERCHANT_LIMIT = 500_000.0
SALARY = 0.04
