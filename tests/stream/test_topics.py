"""Topics on a real broker: made once, checked ever after."""

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from stream.settings import KafkaSettings
from stream.topics import TopicError, Topics, _translated, create_topics, list_topics, topic_specs

pytestmark = pytest.mark.broker


@pytest.fixture
def kafka(broker) -> KafkaSettings:
    return KafkaSettings(broker.bootstrap_servers)


@pytest.fixture
def topics(topic_name) -> Topics:
    """Topics of the test's own."""
    return Topics.named(prefix=f"{topic_name}.")


def config_of(kafka: KafkaSettings, topic: str) -> dict[str, str]:
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    (future,) = client.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    return {name: entry.value for name, entry in future.result().items()}


def test_creating_twice_makes_them_once(kafka, topics):
    assert all(topic.created for topic in create_topics(kafka, topics, partitions=3))
    assert not any(topic.created for topic in create_topics(kafka, topics, partitions=3))
    assert {topic.name for topic in list_topics(kafka, topics)} == set(topics.all())


def test_source_results_and_changelogs_share_their_partitions(kafka, topics):
    create_topics(kafka, topics, partitions=3)
    found = {topic.name: topic.partitions for topic in list_topics(kafka, topics)}
    paired = (topics.transactions, topics.scoring_changelog, topics.entity_activity, topics.entities_changelog)
    assert {found[name] for name in paired} == {3}


def test_the_topics_of_entities_may_have_a_number_of_their_own(kafka, topics):
    create_topics(kafka, topics, partitions=3, entity_partitions=2)
    found = {topic.name: topic.partitions for topic in list_topics(kafka, topics)}
    assert {found[name] for name in (topics.entity_activity, topics.entity_risk, topics.entities_changelog)} == {2}
    assert {found[name] for name in (topics.transactions, topics.decisions, topics.scoring_changelog)} == {3}
    with pytest.raises(TopicError, match=r"entity-activity has 2 partitions, asked for were 3") as caught:
        create_topics(kafka, topics, partitions=3)
    assert "--entity-partitions" in caught.value.hint


def test_only_the_missing_ones_are_made(kafka, topics, make_topic):
    make_topic(".transactions", partitions=2)
    made = {topic.name for topic in create_topics(kafka, topics, partitions=2) if topic.created}
    assert made == set(topics.all()) - {topics.transactions}


def test_other_partitions_than_asked_are_an_error_and_nothing_is_made(kafka, topics, make_topic):
    make_topic(".transactions", partitions=2)
    with pytest.raises(TopicError, match=r"transactions has 2 partitions, asked for were 4") as caught:
        create_topics(kafka, topics, partitions=4)
    assert "--partitions 2" in caught.value.hint
    assert sum(topic.partitions for topic in list_topics(kafka, topics)) == 2


def test_a_changelog_that_forgets_by_age_is_an_error(kafka, topics, make_topic):
    make_topic(".fraudstream-scoring-changelog", partitions=2)
    with pytest.raises(TopicError, match=r"cleanup\.policy delete, it must be compact"):
        create_topics(kafka, topics, partitions=2)


def test_each_topic_gets_its_settings(kafka, topics):
    create_topics(kafka, topics, partitions=1)
    for spec in topic_specs(topics, 1):
        found = config_of(kafka, spec.name)
        assert {name: found[name] for name in spec.configs} == dict(spec.configs)


def test_what_is_looked_up_by_key_is_compacted():
    topics = Topics()
    compacted = {spec.name for spec in topic_specs(topics, 4) if spec.compacted}
    assert compacted == {
        topics.entity_risk,
        topics.entity_lists,
        topics.scoring_changelog,
        topics.entities_changelog,
    }


def test_names_carry_prefix_and_application():
    names = Topics.named(prefix="uat.", app="mule-watch")
    assert names.transactions == "uat.transactions"
    assert names.scoring_changelog == "uat.mule-watch-scoring-changelog"


def test_a_broker_out_of_reach_is_one_error_with_the_way_out(monkeypatch, capfd):
    monkeypatch.setattr("stream.topics.REACH_TIMEOUT_S", 0.5)
    with pytest.raises(TopicError, match=r"no broker answers at 127\.0\.0\.1:1") as caught:
        create_topics(KafkaSettings("127.0.0.1:1"))
    assert "fraudstream broker start" in caught.value.hint
    assert capfd.readouterr().err == ""  # nothing of librdkafka's own


def test_more_replicas_than_brokers_are_an_error(kafka, topics):
    with pytest.raises(TopicError) as caught:
        create_topics(kafka, topics, partitions=1, replication_factor=3)
    assert "--replication-factor" in caught.value.hint


def test_missing_rights_are_named():
    denied = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert "Create" in _translated(denied, "creating topic alerts").hint
