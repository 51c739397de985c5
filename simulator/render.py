"""Drafts to the columns of `schemas.transaction.Transaction`: numbers become identifiers, telemetry goes missing."""

import numpy as np
import polars as pl

from simulator import commerce, text
from simulator.apps import APPS
from simulator.arrays import DAY_MS, AnyArray, Bools, Ints, mix, uniform
from simulator.draft import Draft
from simulator.names import APPLE, FIRST_NAMES, PROCESSORS
from simulator.world import World

_FIRST_NAMES, _PROCESSORS = pl.Series(FIRST_NAMES), pl.Series(PROCESSORS)
_HANDLES = pl.Series([app.handle for app in APPS])
_BANKS = pl.Series([app.bank for app in APPS])
_PACKAGES = pl.Series([app.package for app in APPS])
_MCC = pl.Series([category.mcc for category in commerce.CATEGORIES] + ["0000"])
_CODES = pl.Series([f"{code:02d}" for code in range(100)])
_SHOP_HANDLES = pl.Series(["@surya.merchant", "@tezbiz", "@gangapos", "@okdeccan.shop"])
_LEVELS = pl.Series(["NONE", "MEDIUM", "HIGH", "VERY_HIGH"])
_HANDLE, _BRANCH, _APPS, _FONTS = 71, 72, 73, 74

FINGERPRINT = ("processor", "apps_hash", "fonts_hash", "battery_percent", "battery_charging", "rooted", "emulator")
HARDWARE = ("imei", "mac")
GPS = ("latitude", "longitude", "gps_accuracy_m", "gps_mocked")
NETWORK_PLACE = ("cell_latitude", "cell_longitude", "ip_latitude", "ip_longitude")
BEHAVIOUR = (
    "typing_interval_ms",
    "typing_deviation_ms",
    "tap_interval_ms",
    "session_ms",
    "pasted",
    "screen_shared",
    "on_call",
    "failed_pins",
)
DEVICE = ("device_id", "os", "os_version", "sim_id", "ip")


def _pick(choices: pl.Series, which: AnyArray) -> pl.Series:
    return choices.gather(pl.Series(which.astype(np.uint32)))


def _concat(*parts: pl.Series) -> pl.Series:
    frame = pl.DataFrame({f"{i}": part for i, part in enumerate(parts)})
    return frame.select(pl.concat_str(pl.all()).alias("text"))["text"]


def _choice(count: int, *parts: AnyArray | int) -> Ints:
    return (mix(*parts) % np.uint64(count)).astype(np.int64)


def mobile_number(account: Ints, seed: int) -> Ints:
    """A ten-digit number of its own for every account: 6 to 9 in front."""
    return 6_000_000_000 + (account * 2_654_435_761 + seed % 1_000_003) % 4_000_000_000


def vpa(world: World, account: Ints) -> pl.Series:
    """Address of each account, one to one."""
    digits = text.decimal(mobile_number(account, world.seed), 10)
    shop = world.is_merchant(account)
    person = _concat(
        _pick(_FIRST_NAMES, _choice(len(FIRST_NAMES), _HANDLE, account)), digits, _pick(_HANDLES, _bank(world, account))
    )
    merchant = _concat(digits, _pick(_SHOP_HANDLES, _choice(len(_SHOP_HANDLES), _HANDLE, account)))
    return pl.select(pl.when(pl.lit(pl.Series(shop))).then(pl.lit(merchant)).otherwise(pl.lit(person)).alias("vpa"))[
        "vpa"
    ]


def _bank(world: World, account: Ints) -> Ints:
    ours = account < world.payers
    return np.where(ours, world.app[np.where(ours, account, 0)], _choice(len(APPS), _BRANCH, account))


def render(
    world: World, draft: Draft, slot: int, flagged: Bools, indicator: Ints, full_telemetry: bool
) -> pl.DataFrame:
    """One row per draft. `slot` numbers the stretch of time, so that ids differ between stretches."""
    n = len(draft)
    row = mix(world.seed, slot, np.arange(n))
    bank = world.app[draft.payer]
    shop = world.is_merchant(draft.payee)
    category = np.where(
        shop, world.merchant_category[np.where(shop, draft.payee - world.payers, 0)], len(commerce.CATEGORIES)
    )
    number = mobile_number(draft.payer, world.seed)
    stamp = text.decimal(np.full(n, slot), 8)
    columns: dict[str, pl.Series | AnyArray] = {
        "transaction_id": _concat(_pick(_BANKS, bank), stamp, text.decimal(np.arange(n), 8), text.hexadecimal(row, 16)),
        "event_time": draft.time,
        "payer": vpa(world, draft.payer),
        "payee": vpa(world, draft.payee),
        "amount": np.round(draft.rupees * 100).astype(np.int64),
        "type": _pick(pl.Series(["PAY", "COLLECT"]), draft.collect),
        "initiation_mode": _pick(_CODES, draft.mode),
        "purpose": _pick(_CODES, np.where(row % np.uint64(50) == 0, 14, 0)),
        "rrn": text.decimal((draft.time // DAY_MS % 10_000) * 10**8 + (row >> np.uint64(40)).astype(np.int64) * 5, 12),
        "network_risk_score": np.minimum(draft.risk, 99_999).astype(np.int64),
        "payer_registered_at": np.minimum(world.registered_at[draft.payer], draft.time),
        "payee_type": _pick(pl.Series(["PERSON", "ENTITY"]), shop),
        "payee_code": _pick(_MCC, category),
        "mobile": _concat(_constant("91", n), text.decimal(number, 10)),
        "ip": text.ip_address(draft.ip),
        **_device(draft),
        "app": _pick(_PACKAGES, bank),
        "sim_id": _concat(
            _constant("8991", n), text.decimal((mix(draft.sim, 3) >> np.uint64(12)).astype(np.int64), 15)
        ),
        **_place(draft),
        "typing_interval_ms": np.round(draft.typing_ms, 1),
        "typing_deviation_ms": np.round(draft.typing_spread_ms, 1),
        "tap_interval_ms": np.round(draft.tap_ms, 1),
        "session_ms": np.round(np.clip(draft.session_ms, 2_000, 3_600_000)),
        "pasted": draft.pasted,
        "screen_shared": draft.screen_shared,
        "on_call": draft.on_call,
        "failed_pins": draft.failed_pins,
        "ffri": _pick(_LEVELS, indicator),
        "mobile_revoked": draft.revoked,
        "payee_mule_flag": flagged,
    }
    if not full_telemetry:
        _lose_telemetry(world, draft, columns)
    return pl.DataFrame(columns)


def _constant(value: str, n: int) -> pl.Series:
    return pl.repeat(value, n, dtype=pl.String, eager=True)


def _device(draft: Draft) -> dict[str, pl.Series | AnyArray]:
    model = _choice(len(PROCESSORS), draft.hardware, 4)
    month = draft.time // (30 * DAY_MS)
    apple = model >= APPLE
    base = np.where(apple, 15, 11) + (uniform(draft.hardware, 5) * 4).astype(np.int64)
    minor = (month + (uniform(draft.hardware, 6) * 30).astype(np.int64)) // 4 % 10
    apps = (draft.time / DAY_MS / (6 + 40 * uniform(draft.hardware, 7)) + uniform(draft.hardware, 8)).astype(np.int64)
    fonts = np.where(uniform(draft.hardware, 9) < 0.25, draft.hardware, (model * 100 + base).astype(np.uint64))
    return {
        "device_id": text.hexadecimal(draft.device, 16, 11),
        "imei": text.decimal((mix(draft.hardware, 12) >> np.uint64(12)).astype(np.int64) % 10**15, 15),
        "mac": text.mac_address(draft.hardware, 13),
        "processor": _pick(_PROCESSORS, model),
        "os": _pick(pl.Series(["ANDROID", "IOS"]), apple),
        "os_version": np.round(base + minor / 10, 1),
        "battery_percent": np.round(draft.battery),
        "battery_charging": draft.charging,
        "apps_hash": text.hexadecimal(mix(draft.hardware, _APPS, apps), 16),
        "fonts_hash": text.hexadecimal(mix(_FONTS, fonts), 16),
        "rooted": draft.rooted,
        "emulator": draft.emulator,
    }


def _place(draft: Draft) -> dict[str, pl.Series | AnyArray]:
    return {
        "latitude": np.round(draft.lat, 6),
        "longitude": np.round(draft.lon, 6),
        "gps_accuracy_m": np.round(draft.accuracy_m, 1),
        "gps_mocked": draft.mocked,
        "cell_latitude": np.round(draft.cell_lat, 4),
        "cell_longitude": np.round(draft.cell_lon, 4),
        "ip_latitude": np.round(draft.net_lat, 4),
        "ip_longitude": np.round(draft.net_lon, 4),
    }


def _lose_telemetry(world: World, draft: Draft, columns: dict[str, pl.Series | AnyArray]) -> None:
    """Puts nulls where a customer's application does not report; whole groups of fields go together."""
    bank, telemetry = world.app[draft.payer], world.telemetry[draft.payer]
    reports = {
        DEVICE: np.ones(len(APPS), dtype=np.bool_),
        FINGERPRINT: np.array([app.fingerprint for app in APPS]),
        HARDWARE: np.array([app.hardware for app in APPS]),
        GPS: np.array([app.gps for app in APPS]),
        NETWORK_PLACE: np.array([app.network_place for app in APPS]),
        BEHAVIOUR: np.array([app.behaviour for app in APPS]),
    }
    for names, by_app in reports.items():
        present = telemetry & by_app[bank]
        if names is GPS:
            present &= ~draft.gps_lost
        mask = pl.Series(present)
        for name in names:
            values = pl.Series(name, columns[name])
            columns[name] = pl.select(pl.when(pl.lit(mask)).then(pl.lit(values)).alias(name))[name]
