"""Device: a new one, a clone, a changed SIM, a machine that many customers share."""

import numpy as np

from models.features.common import NAN, differs, find, since
from models.jit import compiled


@compiled
def device_features(f, p, s, r, time_ms):
    """Write the device group of payment `p` into `f`, from the payer's record `s` and entity risk `r`."""
    known = find(s.device_token, s.devices, p.device) if p.device != 0 else -1
    f.device_new = NAN
    f.device_age_days = NAN
    f.device_switched = NAN
    f.hardware_changed = NAN
    f.os_version_change = NAN
    f.apps_changed = NAN
    f.fonts_changed = NAN
    if p.device != 0:
        f.device_new = 1.0 if known < 0 else 0.0
        f.device_age_days = 0.0
        f.device_switched = differs(p.device, s.last_device)
    if known >= 0:
        f.device_age_days = since(time_ms, s.device_first[known]) / 86_400
        f.hardware_changed = differs(p.hardware, s.device_hardware[known])
        f.os_version_change = p.os_version - s.device_os_version[known]
        f.apps_changed = differs(p.apps, s.device_apps[known])
        f.fonts_changed = differs(p.fonts, s.device_fonts[known])
    f.devices_known = s.devices
    f.newest_device_hours = since(time_ms, s.newest_device) / 3600
    f.sim_changed = differs(p.sim, s.sim)
    f.sim_age_hours = NAN
    if p.sim != 0:
        f.sim_age_hours = since(time_ms, s.sim_since) / 3600 if p.sim == s.sim else 0.0
    f.rooted = p.rooted
    f.emulator = p.emulator
    f.battery_percent = p.battery_percent
    f.device_payers = r.device_payers
    f.device_frauds = r.device_frauds
    f.sim_payers = r.sim_payers
    f.mobile_revoked = p.mobile_revoked
    missing = 0
    for token in (p.device, p.sim, p.hardware, p.apps, p.fonts):
        missing += 1 if token == 0 else 0
    for reading in (p.os_version, p.battery_percent, p.battery_charging, p.rooted, p.emulator):
        missing += 1 if np.isnan(reading) else 0
    f.device_fields_missing = missing


@compiled
def remember_device(s, p, time_ms):
    """Move the payer's devices and SIM on to this payment; the least recently used device makes room."""
    seconds = np.uint32(time_ms // 1000)
    if p.device != 0:
        k = find(s.device_token, s.devices, p.device)
        if k < 0:
            if s.devices < s.device_token.size:
                k = np.int64(s.devices)
                s.devices += 1
            else:
                k = int(np.argmin(s.device_last))
            s.device_token[k] = p.device
            s.device_first[k] = seconds
            s.device_last[k] = seconds
            s.device_hardware[k] = 0
            s.device_apps[k] = 0
            s.device_fonts[k] = 0
            s.device_os_version[k] = NAN
            s.newest_device = seconds
        s.device_last[k] = max(s.device_last[k], seconds)
        if p.hardware != 0:
            s.device_hardware[k] = p.hardware
        if p.apps != 0:
            s.device_apps[k] = p.apps
        if p.fonts != 0:
            s.device_fonts[k] = p.fonts
        if not np.isnan(p.os_version):
            s.device_os_version[k] = p.os_version
        s.last_device = p.device
    if p.sim != 0 and p.sim != s.sim:
        s.sim = p.sim
        s.sim_since = seconds
    if p.ip != 0:
        s.ip = p.ip
