"""The 85 parameters: the only list of them. Everything else takes names and order from here.

A feature's `usual` names the feature that holds this payer's own usual value, where there is one; otherwise
the model bundle's median over honest payments stands in. `sentence` is what an analyst reads: `{value}` and
`{usual}` are replaced by amounts in the feature's unit.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Group = Literal["device", "location", "transaction", "behaviour"]
Unit = Literal[
    "flag",
    "count",
    "days",
    "hours",
    "minutes",
    "seconds",
    "ms",
    "km",
    "km/h",
    "m",
    "rupees",
    "ratio",
    "code",
    "percent",
    "versions",
    "deviations",
]


@dataclass(frozen=True)
class Feature:
    """One parameter: `value` below is what the engine computes, float32, NaN where it cannot be known."""

    name: str
    group: Group
    unit: Unit
    description: str
    sentence: str
    usual: str | None = None
    otherwise: str = ""
    """The sentence of a flag that is not set: that, too, may be what speaks against a payment."""

    def say(self, value: float, usual: float | None = None) -> str:
        """The analyst's sentence for `value`; `usual` is left out where the sentence has no place for it."""
        if math.isnan(value):
            return f"Not known for this payment: {within(self.description)}"
        if self.otherwise and value == 0:
            return self.otherwise
        known = usual is not None and not math.isnan(usual)
        return self.sentence.format(
            value=_say(value, self.unit), usual=_say(usual, self.unit) if known else "not known"
        )


def within(sentence: str) -> str:
    """A sentence as it stands within another one: begun small, but for an abbreviation such as UPI."""
    return sentence if sentence[1].isupper() else sentence[0].lower() + sentence[1:]


def _say(value: float | None, unit: Unit) -> str:
    """A number with its unit, as a person would write it: `₹52,000`, `3.5 days`, `840 km/h`."""
    if value is None:
        return "not known"
    if unit == "rupees":
        return f"₹{value:,.0f}"
    if unit == "percent":
        return f"{value:.0f} %"
    if unit in ("count", "code", "flag"):
        return f"{value:.0f}"
    number = f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}"
    if unit in ("ratio", "deviations", "versions"):
        return f"{value:.2g}" if abs(value) < 0.1 else number
    return f"{number} {unit}"


def _in_group(group: Group) -> Callable[..., Feature]:
    """Makes the features of one group: name, unit, description, sentence, usual and otherwise."""

    def feature(
        name: str, unit: Unit, description: str, sentence: str, usual: str | None = None, otherwise: str = ""
    ) -> Feature:
        return Feature(name, group, unit, description, sentence, usual, otherwise)

    return feature


def _device() -> tuple[Feature, ...]:
    feature = _in_group("device")

    return (
        feature("device_new", "flag", "First payment of this payer from this device", "Paid from a device this customer never used before", otherwise="Paid from a device this customer has used before"),
        feature("device_age_days", "days", "Time since this payer first used this device", "The customer has used this device for {value} (others: {usual})"),
        feature("devices_known", "count", "Devices this payer has used", "Devices the customer has used: {value} (usual: {usual})", otherwise="No device of this customer is known yet"),
        feature("device_switched", "flag", "Other device than at the previous payment", "The device changed since the customer's previous payment", otherwise="Paid from the same device as the customer's previous payment"),
        feature("newest_device_hours", "hours", "Time since the payer's newest device appeared", "The customer's newest device appeared {value} ago (others: {usual})"),
        feature("hardware_changed", "flag", "Known device id with another IMEI, MAC or processor", "The device carries a known id, but other hardware: it may be a clone", otherwise="The device's hardware is the one known"),
        feature("os_version_change", "versions", "Operating system's version less the one last seen on this device", "The device's system version changed by {value}"),
        feature("apps_changed", "flag", "Installed applications differ from those last seen on this device", "The applications installed on the device have changed", otherwise="The applications installed on the device have not changed"),
        feature("fonts_changed", "flag", "Installed fonts differ from those last seen on this device", "The fonts installed on the device have changed", otherwise="The fonts installed on the device have not changed"),
        feature("sim_changed", "flag", "Other SIM than at the previous payment", "The SIM changed since the customer's previous payment", otherwise="The SIM is the one of the customer's previous payment"),
        feature("sim_age_hours", "hours", "Time since the present SIM first appeared for this payer", "The SIM has been in use for {value} (others: {usual})"),
        feature("rooted", "flag", "The device is rooted or jailbroken", "The device is rooted", otherwise="The device is not rooted"),
        feature("emulator", "flag", "The device is an emulator", "The device is an emulator", otherwise="The device is not an emulator"),
        feature("battery_percent", "percent", "Charge of the battery", "The device's battery stood at {value} (usual: {usual})"),
        feature("device_payers", "count", "Payers seen on this device, over all customers", "Customers who have paid from this device: {value} (usual: {usual})"),
        feature("device_frauds", "ratio", "Confirmed frauds from this device, over all customers, fading to a third in ten days", "Confirmed frauds from this device, recent ones first of all: {value}", otherwise="No confirmed fraud is known from this device"),
        feature("sim_payers", "count", "Payers seen with this SIM, over all customers", "Customers who have paid with this SIM: {value} (usual: {usual})"),
        feature("mobile_revoked", "flag", "The payer's number is on the Mobile Number Revocation List", "The customer's mobile number has been revoked", otherwise="The customer's mobile number is in use"),
        feature("device_fields_missing", "count", "Device telemetry fields absent from this payment", "Device readings missing: {value} (usual: {usual})", otherwise="All device readings are there"),
    )  # fmt: skip


def _location() -> tuple[Feature, ...]:
    feature = _in_group("location")

    return (
        feature("speed_kmh", "km/h", "Speed from the last GPS fix to this one, along the great circle (Haversine)", "Reaching this place since the last payment takes {value} (usual: {usual})"),
        feature("distance_last_km", "km", "Distance from the last GPS fix", "{value} away from the customer's last payment (usual: {usual})"),
        feature("fix_age_hours", "hours", "Time since the last GPS fix", "The last known place is {value} old (usual: {usual})"),
        feature("distance_home_km", "km", "Distance from the payer's usual place", "{value} away from where this customer usually pays (usual: within {usual})", "home_spread_km"),
        feature("home_spread_km", "km", "Root mean square distance of the payer's fixes from their centre", "This customer's payments spread over {value} (others: {usual})"),
        feature("gps_accuracy_m", "m", "Accuracy the GPS reported", "The GPS reported an accuracy of {value} (usual: {usual})"),
        feature("gps_missing", "flag", "No GPS fix in this payment", "The payment came without a GPS position", otherwise="The payment came with a GPS position"),
        feature("gps_mocked", "flag", "The operating system says that the position is mocked", "The GPS position was faked by software", otherwise="The GPS position was not faked by software"),
        feature("gps_ip_km", "km", "Distance between the GPS fix and the network address's place", "GPS and network address are {value} apart (usual: {usual})"),
        feature("gps_cell_km", "km", "Distance between the GPS fix and the cell tower's place", "GPS and cell tower are {value} apart (usual: {usual})"),
        feature("ip_home_km", "km", "Distance between the network address's place and the payer's usual place", "The network address is {value} from where this customer usually pays (usual: {usual})"),
        feature("ip_changed", "flag", "Other network address than at the previous payment", "The network address changed since the customer's previous payment", otherwise="The network address is the one of the customer's previous payment"),
    )  # fmt: skip


def _transaction() -> tuple[Feature, ...]:
    feature = _in_group("transaction")

    return (
        feature("amount_rupees", "rupees", "Amount", "{value} is paid (this customer usually: {usual})", "amount_usual_rupees"),
        feature("amount_deviations", "deviations", "Logarithm of the amount against the payer's own, in standard deviations", "The amount is {value} standard deviations from what this customer usually pays"),
        feature("amount_of_highest", "ratio", "Amount over the highest this payer paid before", "The amount is {value} times the highest this customer ever paid"),
        feature("amount_usual_rupees", "rupees", "Geometric mean of the payer's amounts", "This customer usually pays {value} (others: {usual})"),
        feature("under_limit", "flag", "At most 5 % under a limit: ₹2,000, 5,000, 10,000, 25,000, 50,000, 1 lakh", "The amount stays just under a limit", otherwise="The amount does not stay just under a limit"),
        feature("collect_request", "flag", "Answer to a collect request", "The customer was asked for the money by a collect request", otherwise="The customer began the payment, no collect request asked for it"),
        feature("initiation_mode", "code", "UPI's initiation mode: 0 manual, 1 QR, 2 secure QR, 4 intent, 10 collect", "The payment was begun in an unusual way (mode {value})"),
        feature("purpose", "code", "UPI's purpose code", "The payment's purpose is an unusual one (code {value})"),
        feature("payee_merchant", "flag", "The payee is a merchant", "The payee is a merchant", otherwise="The payee is a person, not a merchant"),
        feature("payee_code", "code", "The payee's merchant category", "The payee's line of business stands out (category {value})"),
        feature("hour_of_day", "code", "Hour of the day in India, 0 to 23", "Paid in hour {value} of the day (usual: {usual})"),
        feature("hour_share", "ratio", "Share of this payer's payments made within an hour of this time of day", "This customer makes {value} of all payments at this time of day (others: {usual})", otherwise="The customer never paid at this time of day before"),
        feature("minutes_since_last", "minutes", "Time since the payer's previous payment", "{value} since the customer's previous payment (usual: {usual})"),
        feature("payments_10min", "count", "Payments of this payer in the last 10 minutes, with this one", "Payments within 10 minutes: {value} (usual: {usual})"),
        feature("payments_hour", "count", "Payments of this payer in the last hour, with this one", "Payments within an hour: {value} (usual: {usual})"),
        feature("payments_day", "count", "Payments of this payer in the last 24 hours, with this one", "Payments within a day: {value} (usual: {usual})"),
        feature("amount_hour_rupees", "rupees", "Amounts of the last hour, with this one", "{value} paid within an hour (usual: {usual})"),
        feature("amount_day_rupees", "rupees", "Amounts of the last 24 hours, with this one", "{value} paid within a day (usual: {usual})"),
        feature("amount_week_rupees", "rupees", "Amounts of the last 7 days, with this one", "{value} paid within a week (usual: {usual})"),
        feature("amount_week_ratio", "ratio", "Mean amount of the last 7 days' payments, with this one, over what the payer usually pays", "This week's payments are {value} times what this customer usually pays (others: {usual})"),
        feature("payee_first", "flag", "First payment of this payer to this payee", "The customer never paid this payee before", otherwise="The customer has paid this payee before"),
        feature("payee_age_days", "days", "Time since this payer first paid this payee", "The customer has known this payee for {value} (others: {usual})", otherwise="The customer never paid this payee before"),
        feature("payee_payments", "count", "Earlier payments of this payer to this payee", "Earlier payments to this payee: {value} (usual: {usual})", otherwise="No earlier payment to this payee"),
        feature("payee_amount_ratio", "ratio", "Amount over this payer's mean amount to this payee", "The amount is {value} times what this payee usually gets from the customer"),
        feature("new_payees_day", "count", "Payees first paid in the last 24 hours, with this one", "New payees within a day: {value} (usual: {usual})"),
        feature("payer_age_days", "days", "Time since the payer joined, or was first seen", "The customer has been paying for {value} (others: {usual})"),
        feature("payee_payers", "count", "Payers who have paid this payee", "Customers who have paid this payee: {value} (usual: {usual})"),
        feature("payee_inflow_day_rupees", "rupees", "Received by this payee in the last 24 hours", "The payee received {value} within a day (usual: {usual})", otherwise="The payee received nothing within a day"),
        feature("payee_passthrough", "ratio", "Paid out again of what the payee received in the last 24 hours", "The payee passed on {value} of what came in within a day", otherwise="The payee passed on nothing of what came in within a day"),
        feature("payee_first_time_share", "ratio", "Share of the payee's payments that were a payer's first to it", "{value} of the payee's payments came from people who never paid it before (usual: {usual})", otherwise="Nobody pays this payee for the first time"),
        feature("payee_silence_days", "days", "Silence of the payee's account that ended within the last week", "The payee's account had been silent for {value} until lately (usual: {usual})", otherwise="The payee's account was never silent before"),
        feature("payee_layered_share", "ratio", "Share of what the payee received within about a day from accounts that had themselves just received as much", "{value} of the payee's money came from accounts that had just received it themselves", otherwise="The payee's money did not come from accounts that only pass it on"),
        feature("payee_frauds", "ratio", "Confirmed frauds paid to this payee, fading to a third in ten days", "Confirmed frauds paid to this payee, recent ones first of all: {value}", otherwise="No confirmed fraud is known of this payee"),
        feature("payee_fraud_share", "ratio", "Share of the payee's payments that are confirmed frauds, fading to a third in ten days", "{value} of the payee's recent payments are confirmed frauds", otherwise="None of the payee's recent payments is a confirmed fraud"),
        feature("payee_fraud_days", "days", "Time since the first confirmed fraud paid to this payee in the present episode", "The first confirmed fraud paid to this payee is {value} old"),
        feature("payee_risk", "ratio", "Risk of the payee as an account of fraudsters, 0 to 1", "The payee's account looks like a mule's (risk {value})", otherwise="Nothing known speaks against the payee's account"),
        feature("payer_received_day_rupees", "rupees", "Received by the payer's own account in the last 24 hours", "The customer's own account received {value} within a day (usual: {usual})", otherwise="The customer's own account received nothing within a day"),
        feature("payer_losses", "ratio", "Confirmed frauds against this payer, fading to a third in ten days", "Confirmed frauds against this customer, recent ones first of all: {value}", otherwise="No confirmed fraud against this customer is known"),
        feature("payer_risk", "ratio", "Risk of the payer's own account as one of fraudsters, 0 to 1", "The customer's own account looks like a mule's (risk {value})", otherwise="Nothing known speaks against the customer's own account"),
        feature("payee_mule_flag", "flag", "A registry lists the payee as a suspected mule", "The payee is registered as a suspected mule account", otherwise="The payee is not registered as a mule account"),
        feature("payee_ffri", "code", "Financial Fraud Risk Indicator of the payee: 0 none, 1 medium, 2 high, 3 very high", "The payee's mobile number carries a fraud risk indicator (level {value})", otherwise="The payee's mobile number carries no fraud risk indicator"),
        feature("network_risk_score", "count", "The network's own risk score", "The network rates this payment's risk at {value} (usual: {usual})"),
    )  # fmt: skip


def _behaviour() -> tuple[Feature, ...]:
    feature = _in_group("behaviour")

    return (
        feature("typing_interval_ms", "ms", "Mean time between keystrokes", "Typed at {value} a key (this customer usually: {usual})", "typing_usual_ms"),
        feature("typing_usual_ms", "ms", "The payer's usual time between keystrokes", "This customer usually types at {value} a key (others: {usual})"),
        feature("typing_deviations", "deviations", "Typing interval against the payer's own, in standard deviations", "The typing is {value} standard deviations from this customer's rhythm"),
        feature("typing_deviation_ms", "ms", "Standard deviation of the time between keystrokes", "The typing varied by {value} a key (usual: {usual})"),
        feature("tap_interval_ms", "ms", "Mean time between taps", "Tapped every {value} (usual: {usual})"),
        feature("tap_deviations", "deviations", "Tap interval against the payer's own, in standard deviations", "The tapping is {value} standard deviations from this customer's rhythm"),
        feature("session_seconds", "seconds", "From opening the app to confirming the payment", "The session lasted {value} (usual: {usual})"),
        feature("session_deviations", "deviations", "Logarithm of the session's length against the payer's own, in standard deviations", "The session's length is {value} standard deviations from this customer's usual"),
        feature("pasted", "flag", "The payee or the amount was pasted", "The payee or the amount was pasted, not typed", otherwise="The payee and the amount were typed, not pasted"),
        feature("screen_shared", "flag", "The screen was shared or remotely controlled", "The screen was shared with someone during the payment", otherwise="The screen was not shared"),
        feature("on_call", "flag", "A voice call was open during the session", "The customer was on a call during the payment", otherwise="No call was open during the payment"),
        feature("failed_pins", "count", "Wrong PINs entered in the session", "Wrong PINs entered: {value} (usual: {usual})", otherwise="No wrong PIN was entered"),
    )  # fmt: skip


CATALOGUE: tuple[Feature, ...] = (*_device(), *_location(), *_transaction(), *_behaviour())
FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in CATALOGUE)
FEATURES = np.dtype([(name, np.float32) for name in FEATURE_NAMES])
"""One payment's features as a record; an (n,) array of it is an (n, 85) float32 matrix, see `matrix`."""
CATALOGUE_HASH: str = hashlib.sha256(
    "\n".join(f"{f.name} {f.group} {f.unit} {f.description}" for f in CATALOGUE).encode()
).hexdigest()


def position(name: str) -> int:
    """Column of a feature; raises `ValueError` for a name that is not in the catalogue."""
    return FEATURE_NAMES.index(name)
