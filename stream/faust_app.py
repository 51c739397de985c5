"""A Faust app that leaves Kafka alone: Faust orchestrates agents and services, librdkafka moves the records."""

from pathlib import Path

import faust
from faust.app.base import BootStrategy


class NoKafka(BootStrategy):
    """Starts no aiokafka client, no tables and no web server."""

    enable_kafka = False
    enable_kafka_consumer = False
    enable_kafka_producer = False
    enable_web = False

    def tables(self) -> list[faust.types.ServiceT]:
        return []


def make_app(name: str, directory: Path) -> faust.App:
    """The app. Its agents wait until `app.flow_control.resume()` is called."""

    class App(faust.App):
        BootStrategy = NoKafka

    return App(name, broker="kafka://not-used", store="memory://", web_enabled=False, datadir=directory)
