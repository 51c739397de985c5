"""The settings, read once, at the edge: option before environment before file before default.

An option is the field's name with dashes; the environment variable is `FRAUDSTREAM_` and the name in capitals; the
file is TOML with the same names. Kafka's security properties pass through to librdkafka under their own names:
`--kafka sasl.mechanism=PLAIN`, `FRAUDSTREAM_KAFKA_SASL_PASSWORD`, or a table `[kafka]` in the file.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from fraudstream import options
from fraudstream.errors import UserError
from fraudstream.options import help_of
from models.retrain import RetrainPolicy
from stream.settings import BlockSettings, ConsumerSettings, KafkaSettings, ProducerSettings, StateSettings
from stream.topics import Topics

PREFIX = "FRAUDSTREAM_"
KAFKA_PREFIXES = ("security.", "sasl.", "ssl.", "enable.ssl.")
KAFKA_SHOWN = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.kerberos.service.name",
        "sasl.kerberos.principal",
        "sasl.oauthbearer.method",
        "sasl.oauthbearer.token.endpoint.url",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.endpoint.identification.algorithm",
        "enable.ssl.certificate.verification",
    }
)
"""Kafka properties that are no secret; every other one is masked."""

_TopicPart = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]*$", max_length=100)]
_AppName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]+$", max_length=100)]


class Settings(BaseSettings):
    """Everything that can be set, with units in the names."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    bootstrap_servers: str = Field("127.0.0.1:9092", min_length=1, description=help_of(options.BootstrapServers))
    kafka: dict[str, SecretStr] = Field({}, description=help_of(options.Kafka))
    topic_prefix: _TopicPart = Field("", description=help_of(options.TopicPrefix))
    partitions: int = Field(4, ge=1, le=1024, description=help_of(options.Partitions))
    group_id: _AppName = Field("fraudstream", description=help_of(options.GroupId))
    model: Path | None = Field(None, description=help_of(options.Model))
    challengers: Annotated[list[Path], NoDecode] = Field([], max_length=8, description=help_of(options.Challengers))
    policy_file: Path | None = Field(None, description=help_of(options.PolicyFile))
    token_key_file: Path | None = Field(None, description=help_of(options.TokenKeyFile))
    state_dir: Path = Field(Path("state"), description=help_of(options.StateDir))
    slot: int = Field(0, ge=0, le=9999, description=help_of(options.Slot))
    guarantee: Literal["exactly_once", "at_least_once"] = Field("exactly_once", description=help_of(options.Guarantee))
    max_batch: int = Field(8000, ge=1, le=50_000, description=help_of(options.MaxBatch))
    linger_ms: int = Field(1, ge=0, le=5000, description=help_of(options.LingerMs))
    session_timeout_ms: int = Field(10_000, ge=1_000, le=1_800_000, description=help_of(options.SessionTimeoutMs))
    max_poll_interval_ms: int = Field(300_000, ge=1_000, le=3_600_000, description=help_of(options.MaxPollIntervalMs))
    transaction_timeout_ms: int = Field(10_000, ge=1_000, le=900_000, description=help_of(options.TransactionTimeoutMs))
    reject_limit: int = Field(1_000, ge=0, le=1_000_000_000, description=help_of(options.RejectLimit))
    arena_rows: int = Field(262_144, ge=1024, le=50_000_000, description=help_of(options.ArenaRows))
    write_buffer_bytes: int = Field(32 * 2**20, ge=65_536, le=2**30, description=help_of(options.WriteBufferBytes))
    standby: int = Field(0, ge=0, le=1024, description=help_of(options.Standby))
    state_format: int | None = Field(None, ge=1, le=255, description=help_of(options.StateFormat))
    retrain_psi: float = Field(0.25, gt=0, le=100, description=help_of(options.RetrainPsi))
    retrain_features: int = Field(6, ge=1, le=1000, description=help_of(options.RetrainFeatures))
    retrain_payments: int = Field(2_000, ge=1, le=1_000_000_000, description=help_of(options.RetrainPayments))
    retrain_hours: int = Field(20, ge=1, le=24, description=help_of(options.RetrainHours))
    lake: str | None = Field(None, min_length=1, description=help_of(options.Lake))
    block_rows: int = Field(500_000, ge=1, le=10_000_000, description=help_of(options.BlockRows))
    open_rows: int = Field(500_000, ge=1, le=100_000_000, description=help_of(options.OpenRows))
    max_open_s: float = Field(600.0, gt=0, le=86_400, description=help_of(options.MaxOpenS))
    metrics_port: int = Field(9108, ge=0, le=65_535, description=help_of(options.MetricsPort))
    log_format: Literal["console", "json"] = Field("console", description=help_of(options.LogFormat))
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description=help_of(options.LogLevel))

    @field_validator("kafka", mode="before")
    @classmethod
    def _kafka_names(cls, value: Any) -> Any:
        """Names as librdkafka writes them; only security, the rest belongs to the engine."""
        if not isinstance(value, Mapping):
            return value
        named = {_kafka_name(name): text for name, text in value.items()}
        for name in named:
            if not name.startswith(KAFKA_PREFIXES):
                raise ValueError(f"{name} cannot be set: only security.*, sasl.* and ssl.* pass through to Kafka")
        return named

    @field_validator("challengers", mode="before")
    @classmethod
    def _separated(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("metrics_port", mode="before")
    @classmethod
    def _no_service_link(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("tcp://"):
            raise ValueError("Kubernetes put a service's address here: set enableServiceLinks: false on the pod")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The values arrive merged, with their origins: see `load_with_origins`.
        return (init_settings,)

    def kafka_settings(self) -> KafkaSettings:
        """How to reach Kafka. Holds secrets: never log what is in its `security`."""
        security = {name: value.get_secret_value() for name, value in self.kafka.items()}
        return KafkaSettings(self.bootstrap_servers, app=self.group_id, slot=self.slot, security=security)

    def topics(self) -> Topics:
        """The names of all topics."""
        return Topics.named(prefix=self.topic_prefix, app=self.group_id)

    def consumer_settings(self) -> ConsumerSettings:
        """How payments are fetched."""
        return ConsumerSettings(
            max_batch=self.max_batch,
            session_timeout_ms=self.session_timeout_ms,
            max_poll_interval_ms=self.max_poll_interval_ms,
        )

    def producer_settings(self) -> ProducerSettings:
        """How results are published."""
        return ProducerSettings(
            guarantee=self.guarantee,
            transaction_timeout_ms=self.transaction_timeout_ms,
            # A record must fail before its transaction does.
            message_timeout_ms=self.transaction_timeout_ms * 4 // 5,
            linger_ms=self.linger_ms,
        )

    def block_settings(self) -> BlockSettings:
        """How large the lake's files become."""
        return BlockSettings(self.block_rows, self.open_rows, self.max_open_s)

    def retrain_policy(self) -> RetrainPolicy:
        """When payments have moved so far that the model should be trained again."""
        return RetrainPolicy(self.retrain_psi, self.retrain_features, self.retrain_payments, self.retrain_hours)

    def state_settings(self) -> StateSettings:
        """How much of the payers' state is kept where."""
        return StateSettings(
            directory=self.state_dir, arena_rows=self.arena_rows, write_buffer_bytes=self.write_buffer_bytes
        )


@dataclass(frozen=True)
class Origin:
    """Where a value came from: kind is option, env, file or default."""

    kind: Literal["option", "env", "file", "default"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


def load(given: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """The effective settings. `given` are a command's options (its `locals()`); None means not given.

    Raises UserError that names every wrong value's origin, and never the value.
    """
    return load_with_origins(given, config)[0]


def load_with_origins(
    given: Mapping[str, Any] | None = None, config: Path | None = None
) -> tuple[Settings, dict[str, Origin]]:
    """The effective settings, and where each came from (`kafka.NAME` for each Kafka property)."""
    fields = Settings.model_fields
    given = dict(given or {})
    config = (
        config
        or given.pop("config", None)
        or (Path(os.environ[name]) if (name := f"{PREFIX}CONFIG") in os.environ else None)
    )
    chosen = {name: value for name, value in given.items() if name in fields and value is not None}
    if isinstance(chosen.get("kafka"), list):
        chosen["kafka"] = _pairs(chosen["kafka"])
    layers: list[tuple[dict[str, Any], Callable[[str], Origin]]] = [
        (_flat(_read_file(config) if config else {}), lambda name: Origin("file", str(config))),
        (_flat(_read_environment()), lambda name: Origin("env", PREFIX + name.upper().replace(".", "_"))),
        (_flat(chosen), lambda name: Origin("option", _option_name(name))),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for layer, origin in layers:
        for name, value in layer.items():
            values[name], origins[name] = value, origin(name)
    try:
        settings = Settings(**_nested(values))
    except ValidationError as error:
        raise _wrong(error, origins) from None
    shown = {name: Origin("default") for name in fields if name != "kafka"}
    return settings, shown | origins


def describe(settings: Settings, name: str) -> int | str | list[str] | None:
    """A setting's value to show, by its name in the origins; secrets come out masked."""
    if name.startswith("kafka."):
        value = settings.kafka[name.removeprefix("kafka.")]
        return value.get_secret_value() if name.removeprefix("kafka.") in KAFKA_SHOWN else str(value)
    value = getattr(settings, name)
    if isinstance(value, list):
        return [str(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _kafka_name(name: str) -> str:
    return name.lower().replace("_", ".")


def _pairs(items: list[str]) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping."""
    pairs = [item.partition("=") for item in items]
    if not all(equals for _, equals, _ in pairs):
        raise UserError("--kafka takes NAME=VALUE", hint="for example --kafka security.protocol=SSL")
    return {name: value for name, _, value in pairs}


def _flat(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Kafka properties one by one, so that a password may come from elsewhere than the mechanism."""
    flat = {name: value for name, value in layer.items() if name != "kafka"}
    kafka = layer.get("kafka", {})
    if not isinstance(kafka, Mapping):
        return flat | {"kafka": kafka}
    return flat | {f"kafka.{_kafka_name(name)}": value for name, value in kafka.items()}


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    kafka = {name.removeprefix("kafka."): str(v) for name, v in values.items() if name.startswith("kafka.")}
    rest = {name: value for name, value in values.items() if not name.startswith("kafka.")}
    return {"kafka": kafka, **rest}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the settings file {path}: {error.strerror}", hint="check --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise UserError(f"the settings file {path} is no TOML: {reason}", hint="correct the file") from None


def _read_environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise UserError(
            str(error), hint=f"correct the variable, or set {PREFIX}KAFKA_SASL_PASSWORD and its like"
        ) from None


def _option_name(name: str) -> str:
    if name.startswith("kafka."):
        return "--kafka"
    special = {"challengers": "--challenger", "policy_file": "--policy"}
    return special.get(name, "--" + name.replace("_", "-"))


def _wrong(error: ValidationError, origins: Mapping[str, Origin]) -> UserError:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        origin = origins.get(name) or origins.get(str(problem["loc"][0]))
        if problem["type"] == "extra_forbidden":
            near = get_close_matches(name, Settings.model_fields, n=1)
            text = "there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
        else:
            text = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{name} ({origin}): {text}" if origin else f"{name}: {text}")
    return UserError("; ".join(lines), hint="correct it; `fraudstream config` shows every setting and its origin")
