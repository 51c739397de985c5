"""The options that commands share, with their help; `fraudstream.settings` takes its descriptions from here.

Every one but History defaults to None: not given here, see the environment, the file and then the default.
Imports nothing but typer, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="FRAUDSTREAM_CONFIG", help="Settings file (TOML)."),
]
BootstrapServers = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka's brokers, host:port, separated by commas.")
]
Kafka = Annotated[
    list[str] | None,
    typer.Option("--kafka", metavar="NAME=VALUE", help="Security property of librdkafka: security.*, sasl.*, ssl.*."),
]
TopicPrefix = Annotated[str | None, typer.Option("--topic-prefix", help="Put before every topic's name.")]
Partitions = Annotated[int | None, typer.Option("--partitions", help="Partitions of topics that get created.")]
GroupId = Annotated[str | None, typer.Option("--group-id", help="Application: consumer groups, changelogs, producers.")]
Model = Annotated[Path | None, typer.Option("--model", help="Bundle of the model that decides (directory).")]
Challengers = Annotated[
    list[Path] | None, typer.Option("--challenger", help="Bundle of a model that scores in shadow; repeat for more.")
]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="Decision policy (TOML): lists, rules, thresholds.")]
TokenKeyFile = Annotated[
    Path | None, typer.Option("--token-key-file", help="Secret key that turns identifiers into tokens.")
]
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="Directory of the payers' state.")]
Slot = Annotated[int | None, typer.Option("--slot", help="Number of this worker, stable over restarts, from 0.")]
Guarantee = Annotated[
    Literal["exactly_once", "at_least_once"] | None,
    typer.Option("--guarantee", help="What holds through crashes and rebalances."),
]
MaxBatch = Annotated[int | None, typer.Option("--max-batch", help="Payments in one step, at most.")]
LingerMs = Annotated[
    int | None, typer.Option("--linger-ms", help="How long results gather before they are sent to a broker, ms.")
]
SessionTimeoutMs = Annotated[
    int | None, typer.Option("--session-timeout-ms", help="A worker silent for so long loses its partitions, ms.")
]
MaxPollIntervalMs = Annotated[
    int | None, typer.Option("--max-poll-interval-ms", help="A step may take so long before others take over, ms.")
]
TransactionTimeoutMs = Annotated[
    int | None, typer.Option("--transaction-timeout-ms", help="The brokers abort a transaction open for so long, ms.")
]
RejectLimit = Annotated[
    int | None,
    typer.Option("--reject-limit", help="Unreadable payments in a row with which a worker stops; 0: it never does."),
]
ArenaRows = Annotated[int | None, typer.Option("--arena-rows", help="Payers held in memory, at most.")]
WriteBufferBytes = Annotated[
    int | None,
    typer.Option("--write-buffer-bytes", help="Changed records gathered in memory for one partition's disk, bytes."),
]
Standby = Annotated[
    int | None,
    typer.Option("--standby", help="Partitions of other workers whose state is kept current here, at most."),
]
RetrainPsi = Annotated[
    float | None, typer.Option("--retrain-psi", help="Stability index, beyond the usual, that counts as a shift.")
]
RetrainFeatures = Annotated[
    int | None, typer.Option("--retrain-features", help="So many shifted features ask for training again.")
]
RetrainPayments = Annotated[
    int | None, typer.Option("--retrain-payments", help="Payments of a day counted before shifts are told, at least.")
]
RetrainHours = Annotated[
    int | None, typer.Option("--retrain-hours", help="Hours of a day counted before shifts are told, at least.")
]
StateFormat = Annotated[
    int | None,
    typer.Option("--state-format", help="Format to write state in, for older builds beside this one; else the newest."),
]
History = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DIR|URL",
        help="History (transactions/**/*.parquet, labels.parquet) or lake, which may be a URL.",
    ),
]
Lake = Annotated[
    str | None, typer.Option("--lake", metavar="DIR|URL", help="The lake: a directory, or a URL as s3://bucket/prefix.")
]
BlockRows = Annotated[int | None, typer.Option("--block-rows", help="Rows with which a file of the lake ends.")]
OpenRows = Annotated[
    int | None, typer.Option("--open-rows", help="Rows of each topic in memory, in no file of the lake yet, at most.")
]
MaxOpenS = Annotated[
    float | None, typer.Option("--max-open-s", help="After so long a file of the lake ends, however small, s.")
]
MetricsPort = Annotated[
    int | None, typer.Option("--metrics-port", help="Port of metrics and health; 0 takes any free one.")
]
LogFormat = Annotated[
    Literal["console", "json"] | None, typer.Option("--log-format", help="Log lines for people or machines.")
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None, typer.Option("--log-level", help="Least severity logged.")
]


def help_of(option: Any) -> str:
    """The help text of one of the options above."""
    info = get_args(option)[1]
    return str(info.help)
