"""Location: impossible journeys, distance from home, positions that contradict each other."""

import math

import numpy as np

from models.features.common import HOUR_MS, NAN, differs, haversine_km
from models.jit import compiled

LEAST_HOURS = 1 / 60
"""Two fixes within a minute are taken as a minute apart: GPS noise must not look like speed."""
HOME_MEMORY = 200
"""Fixes that the centre of a payer's places remembers, at least in weight."""


@compiled
def location_features(f, p, s, time_ms):
    """Write the location group of payment `p` into `f`, from the payer's record `s`."""
    f.speed_kmh = NAN
    f.distance_last_km = NAN
    f.fix_age_hours = NAN
    if s.fixes > 0:
        hours = abs(time_ms - s.fix_ms) / HOUR_MS
        distance = haversine_km(s.fix_latitude, s.fix_longitude, p.latitude, p.longitude)
        f.distance_last_km = distance
        f.fix_age_hours = hours
        f.speed_kmh = distance / max(hours, LEAST_HOURS)
    f.distance_home_km = NAN
    f.home_spread_km = NAN
    f.ip_home_km = NAN
    if s.fixes >= 3:
        f.distance_home_km = haversine_km(s.home_latitude, s.home_longitude, p.latitude, p.longitude)
        f.home_spread_km = math.sqrt(s.home_variance_km2)
        f.ip_home_km = haversine_km(s.home_latitude, s.home_longitude, p.ip_latitude, p.ip_longitude)
    f.gps_accuracy_m = p.gps_accuracy_m
    f.gps_missing = 1.0 if np.isnan(p.latitude) or np.isnan(p.longitude) else 0.0
    f.gps_mocked = p.gps_mocked
    f.gps_ip_km = haversine_km(p.latitude, p.longitude, p.ip_latitude, p.ip_longitude)
    f.gps_cell_km = haversine_km(p.latitude, p.longitude, p.cell_latitude, p.cell_longitude)
    f.ip_changed = differs(p.ip, s.ip)


@compiled
def remember_location(s, p, time_ms):
    """Move the last fix (never back in time) and the centre of the payer's places on to this payment."""
    if np.isnan(p.latitude) or np.isnan(p.longitude):
        return
    if s.fixes == 0:
        s.home_latitude = p.latitude
        s.home_longitude = p.longitude
    distance = haversine_km(s.home_latitude, s.home_longitude, p.latitude, p.longitude)
    s.fixes = min(s.fixes + 1, 65_535)
    weight = 1.0 / min(s.fixes, HOME_MEMORY)
    east = p.longitude - s.home_longitude
    if east > 180:
        east -= 360
    elif east < -180:
        east += 360
    s.home_latitude += weight * (p.latitude - s.home_latitude)
    s.home_longitude = (s.home_longitude + weight * east + 540) % 360 - 180
    s.home_variance_km2 = (1 - weight) * (s.home_variance_km2 + weight * distance * distance)
    if time_ms >= s.fix_ms:
        s.fix_latitude = p.latitude
        s.fix_longitude = p.longitude
        s.fix_ms = time_ms
