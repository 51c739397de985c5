"""A payment as the bank's platform publishes it: one flat JSON object, keyed by its payer.

The names are UPI's where UPI has one (in brackets: the element of the ReqPay message). Only the five
fields without a default are required; everything else may be absent or null, and absence is information.
Amounts are paise, times epoch milliseconds UTC, coordinates degrees (WGS 84), distances metres.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.types import EventTime, Identifier, Name, Paise, Text, TransactionId

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Metres = Annotated[float, Meta(ge=0, le=40_100_000)]
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Percent = Annotated[float, Meta(ge=0, le=100)]
# A pattern's `$` also matches before a final newline; the length beside it does not.
Mcc = Annotated[str, Meta(pattern="^[0-9]{4}$", max_length=4)]
Code = Annotated[str, Meta(pattern="^[0-9]{2}$", max_length=2)]


class Transaction(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One payment instruction, as the bank's platform published it."""

    # What was paid
    transaction_id: TransactionId
    """Unique per payment [Txn/id]."""
    event_time: EventTime
    """When the payer's bank received it, epoch ms [Txn/ts]."""
    payer: Identifier
    """Payer's VPA or account reference [Payer/addr]; also the record's key."""
    payee: Identifier
    """Payee's VPA or account reference [Payee/addr]."""
    amount: Paise
    """Paise [Amount/value]."""
    currency: Literal["INR"] = "INR"
    """Rupees only [Amount/curr]."""
    type: Literal["PAY", "COLLECT"] | None = None
    """Push or collect request [Txn/type]."""
    initiation_mode: Code | None = None
    """00 manual, 01 QR, 02 secure QR, 04 intent, 10 collect … [Txn/initiationMode]."""
    purpose: Code | None = None
    """Purpose code [Txn/purpose]."""
    note: Text | None = None
    """Free text, never stored or scored [Txn/note]."""
    ref_id: Name | None = None
    """Merchant's reference [Txn/refId]."""
    rrn: Annotated[str, Meta(pattern="^[0-9]{12}$", max_length=12)] | None = None
    """Retrieval reference number [Txn/custRef]."""
    msg_id: Name | None = None
    """Message's id [Head/msgId]."""
    org_id: Name | None = None
    """Sending organisation [Head/orgId]."""
    network_risk_score: Annotated[int, Meta(ge=0, le=99_999)] | None = None
    """The network's own risk score [Txn/RiskScores/Score of type TXNRISK]."""

    # Who paid whom
    payer_type: Literal["PERSON", "ENTITY"] | None = None
    """Person or business [Payer/type]."""
    payer_code: Mcc | None = None
    """Merchant category, 0000 for a person [Payer/code]."""
    payer_account: Identifier | None = None
    """Account number [Payer/Ac ACNUM]."""
    payer_ifsc: Name | None = None
    """Branch code [Payer/Ac IFSC]."""
    payer_account_type: Name | None = None
    """Kind of account [Payer/Ac ACTYPE]."""
    payer_registered_at: EventTime | None = None
    """When the payer joined the rail, epoch ms."""
    payee_type: Literal["PERSON", "ENTITY"] | None = None
    """Person or business [Payee/type]."""
    payee_code: Mcc | None = None
    """Merchant category, 0000 for a person [Payee/code]."""
    payee_ifsc: Name | None = None
    """Branch code [Payee/Ac IFSC]."""

    # Device
    mobile: Identifier | None = None
    """Mobile number [Device/Tag MOBILE]."""
    ip: Name | None = None
    """IP address [Device/Tag IP]."""
    device_type: Name | None = None
    """Kind of device [Device/Tag TYPE]."""
    device_id: Identifier | None = None
    """Device's id, to which the app is bound [Device/Tag ID]."""
    os: Name | None = None
    """Operating system's name [Device/Tag OS]."""
    os_version: Annotated[float, Meta(ge=0, le=1000)] | None = None
    """Major and minor version as one number, 14.1."""
    app: Name | None = None
    """The app's name [Device/Tag APP]."""
    app_version: Name | None = None
    """Version of the bank's app."""
    capability: Name | None = None
    """What the device can do, UPI's bit string [Device/Tag CAPABILITY]."""
    imei: Identifier | None = None
    """The phone's equipment identity, or a hash of it."""
    mac: Identifier | None = None
    """The network interface's address, or a hash of it."""
    processor: Name | None = None
    """Processor's model."""
    battery_percent: Percent | None = None
    """Charge of the battery, percent."""
    battery_charging: bool | None = None
    """The phone hangs on a charger."""
    apps_hash: Identifier | None = None
    """Hash of the installed applications."""
    fonts_hash: Identifier | None = None
    """Hash of the installed fonts."""
    sim_id: Identifier | None = None
    """The SIM's ICCID or a hash of it."""
    rooted: bool | None = None
    """The operating system's protection is broken (root, jailbreak)."""
    emulator: bool | None = None
    """The app runs in an emulator."""

    # Location
    latitude: Latitude | None = None
    """GPS fix [Device/Tag GEOCODE, first part]."""
    longitude: Longitude | None = None
    """GPS fix [Device/Tag GEOCODE, second part]."""
    location: Text | None = None
    """Place in words [Device/Tag LOCATION]."""
    gps_accuracy_m: Metres | None = None
    """Radius of the GPS fix, metres."""
    gps_mocked: bool | None = None
    """The system reports a mocked location."""
    cell_latitude: Latitude | None = None
    """Where the mobile network places the phone."""
    cell_longitude: Longitude | None = None
    """Where the mobile network places the phone."""
    ip_latitude: Latitude | None = None
    """Where the IP address lies."""
    ip_longitude: Longitude | None = None
    """Where the IP address lies."""

    # Behaviour
    typing_interval_ms: Milliseconds | None = None
    """Mean time between keystrokes of the session."""
    typing_deviation_ms: Milliseconds | None = None
    """Standard deviation of the time between keystrokes."""
    tap_interval_ms: Milliseconds | None = None
    """Mean time between taps of the session."""
    session_ms: Milliseconds | None = None
    """From opening the app to confirming the payment."""
    pasted: bool | None = None
    """The payee or amount was pasted."""
    screen_shared: bool | None = None
    """The screen was shared or controlled from afar."""
    on_call: bool | None = None
    """A voice call was open during the session."""
    failed_pins: Count | None = None
    """Wrong PINs in the session before this payment."""

    # Signals from outside the bank
    ffri: Literal["NONE", "MEDIUM", "HIGH", "VERY_HIGH"] | None = None
    """Financial Fraud Risk Indicator of the payee's mobile number."""
    mobile_revoked: bool | None = None
    """The payer's number is on the Mobile Number Revocation List."""
    payee_mule_flag: bool | None = None
    """A registry lists the payee's account as a suspected mule."""
