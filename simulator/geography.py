"""Where people live: the largest Indian cities (population of their urban areas in millions, 2011 census, rounded)."""

import numpy as np

from simulator.arrays import Floats

CITIES: tuple[tuple[str, str, float, float, float], ...] = (
    ("Mumbai", "MH", 19.076, 72.878, 18.4),
    ("Delhi", "DL", 28.614, 77.209, 16.3),
    ("Kolkata", "WB", 22.573, 88.364, 14.1),
    ("Chennai", "TN", 13.083, 80.271, 8.7),
    ("Bengaluru", "KA", 12.972, 77.594, 8.5),
    ("Hyderabad", "TG", 17.385, 78.487, 7.7),
    ("Ahmedabad", "GJ", 23.023, 72.571, 6.4),
    ("Pune", "MH", 18.520, 73.857, 5.0),
    ("Surat", "GJ", 21.170, 72.831, 4.6),
    ("Jaipur", "RJ", 26.912, 75.787, 3.1),
    ("Kanpur", "UP", 26.450, 80.332, 2.9),
    ("Lucknow", "UP", 26.847, 80.946, 2.9),
    ("Nagpur", "MH", 21.146, 79.088, 2.5),
    ("Ghaziabad", "UP", 28.669, 77.454, 2.4),
    ("Indore", "MP", 22.720, 75.858, 2.2),
    ("Coimbatore", "TN", 11.017, 76.956, 2.1),
    ("Kochi", "KL", 9.931, 76.267, 2.1),
    ("Patna", "BR", 25.594, 85.138, 2.0),
    ("Bhopal", "MP", 23.260, 77.413, 1.9),
    ("Thrissur", "KL", 10.528, 76.214, 1.9),
    ("Vadodara", "GJ", 22.307, 73.181, 1.8),
    ("Visakhapatnam", "AP", 17.687, 83.218, 1.7),
    ("Agra", "UP", 27.177, 78.008, 1.7),
    ("Madurai", "TN", 9.925, 78.120, 1.5),
    ("Varanasi", "UP", 25.318, 82.974, 1.4),
    ("Meerut", "UP", 28.985, 77.706, 1.4),
    ("Nashik", "MH", 19.998, 73.790, 1.6),
    ("Jamshedpur", "JH", 22.805, 86.203, 1.3),
    ("Rajkot", "GJ", 22.304, 70.802, 1.4),
    ("Srinagar", "JK", 34.084, 74.797, 1.3),
    ("Amritsar", "PB", 31.634, 74.872, 1.2),
    ("Ranchi", "JH", 23.344, 85.310, 1.1),
    ("Jodhpur", "RJ", 26.239, 73.024, 1.1),
    ("Raipur", "CG", 21.251, 81.630, 1.1),
    ("Chandigarh", "CH", 30.733, 76.779, 1.0),
    ("Guwahati", "AS", 26.144, 91.736, 1.0),
)
NAMES: tuple[str, ...] = tuple(f"{name} {state} IN" for name, state, *_ in CITIES)
LATITUDES: Floats = np.array([city[2] for city in CITIES])
LONGITUDES: Floats = np.array([city[3] for city in CITIES])
WEIGHTS: Floats = np.array([city[4] for city in CITIES]) / sum(city[4] for city in CITIES)
CUMULATIVE: Floats = np.cumsum(WEIGHTS)

VPN_EXITS: Floats = np.array(
    [(1.35, 103.82), (50.11, 8.68), (40.71, -74.01), (51.51, -0.13), (19.08, 72.88), (12.97, 77.59)]
)
"""Latitude and longitude of the exits that VPN users come out of."""
HUBS = 6
"""Mobile networks route a region through one of the largest cities: an address seems to be there."""
