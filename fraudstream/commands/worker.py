"""`fraudstream worker`: judge payments until told to stop."""

from typing import Annotated

import typer

from fraudstream import options


def worker(
    bootstrap_servers: options.BootstrapServers = None,
    model: options.Model = None,
    challengers: options.Challengers = None,
    state_dir: options.StateDir = None,
    slot: options.Slot = None,
    guarantee: options.Guarantee = None,
    token_key_file: options.TokenKeyFile = None,
    policy_file: options.PolicyFile = None,
    max_batch: options.MaxBatch = None,
    reject_limit: options.RejectLimit = None,
    arena_rows: options.ArenaRows = None,
    state_format: options.StateFormat = None,
    standby: options.Standby = None,
    group_id: options.GroupId = None,
    topic_prefix: options.TopicPrefix = None,
    kafka: options.Kafka = None,
    metrics_port: options.MetricsPort = None,
    log_format: options.LogFormat = None,
    log_level: options.LogLevel = None,
    accept_state_loss: Annotated[
        bool, typer.Option("--accept-state-loss", help="Start although state was lost; payers are then less known.")
    ] = False,
    config: options.Config = None,
) -> None:
    """Judge payments: transactions in, alerts and decisions out, until SIGTERM or Ctrl-C."""
    from fraudstream.errors import UserError
    from fraudstream.settings import load
    from fraudstream.token_key import load_tokeniser
    from stream import logs

    settings = load(locals(), config)
    logs.configure(settings.log_format, settings.log_level)
    if settings.model is None:
        raise UserError("no model is set", hint="set --model to a bundle made by `fraudstream train`")
    tokeniser = load_tokeniser(settings.token_key_file)

    from fraudstream.worker import WorkerSettings, run

    run(
        WorkerSettings(
            kafka=settings.kafka_settings(),
            consumer=settings.consumer_settings(),
            producer=settings.producer_settings(),
            state=settings.state_settings(),
            topics=settings.topics(),
            model=settings.model,
            challengers=tuple(settings.challengers),
            policy=settings.policy_file,
            reject_limit=settings.reject_limit,
            retrain=settings.retrain_policy(),
            state_format=settings.state_format,
            metrics_port=settings.metrics_port,
            standby=settings.standby,
            accept_state_loss=accept_state_loss,
        ),
        tokeniser,
    )
    raise typer.Exit(0)
