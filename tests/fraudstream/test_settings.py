"""Settings: option before environment before file before default; secrets never shown."""

import inspect
import json
import stat

import pytest
from typer.models import OptionInfo

from fraudstream import options
from fraudstream.errors import UserError
from fraudstream.settings import Settings, load, load_with_origins
from fraudstream.times import epoch_ms, show_time
from fraudstream.token_key import load_tokeniser, write_new_key

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "fraudstream.toml"
    path.write_text('slot = 1\nlinger_ms = 11\nlog_level = "debug"\n[kafka]\n"sasl.mechanism" = "PLAIN"\n')
    return path


def test_an_option_beats_the_environment_beats_the_file_beats_the_default(config, monkeypatch):
    monkeypatch.setenv("FRAUDSTREAM_SLOT", "2")
    monkeypatch.setenv("FRAUDSTREAM_LINGER_MS", "12")
    settings, origins = load_with_origins({"slot": 3, "linger_ms": None}, config)
    assert (settings.slot, settings.linger_ms, settings.log_level, settings.max_batch) == (3, 12, "debug", 8000)
    assert {name: str(origins[name]) for name in ("slot", "linger_ms", "log_level", "max_batch")} == {
        "slot": "option --slot",
        "linger_ms": "env FRAUDSTREAM_LINGER_MS",
        "log_level": f"file {config}",
        "max_batch": "default",
    }


def test_the_file_may_be_named_by_the_environment(config, monkeypatch):
    monkeypatch.setenv("FRAUDSTREAM_CONFIG", str(config))
    assert load().slot == 1


def test_kafka_properties_come_together_from_everywhere(config, monkeypatch):
    monkeypatch.setenv("FRAUDSTREAM_KAFKA_SASL_PASSWORD", "hunter2")
    given = {"kafka": ["security.protocol=SASL_SSL", "sasl.username=a=b"], "bootstrap_servers": "k:9093"}
    kafka = load(given, config).kafka_settings()
    assert kafka.bootstrap_servers == "k:9093"
    assert kafka.security == {
        "sasl.mechanism": "PLAIN",
        "sasl.password": "hunter2",
        "security.protocol": "SASL_SSL",
        "sasl.username": "a=b",
    }


def test_only_security_passes_through_to_kafka():
    with pytest.raises(UserError, match=r"transactional\.id cannot be set"):
        load({"kafka": ["transactional.id=x"]})
    with pytest.raises(UserError, match="NAME=VALUE"):
        load({"kafka": ["security.protocol"]})


def test_challengers_are_separated_by_commas_in_the_environment(monkeypatch):
    monkeypatch.setenv("FRAUDSTREAM_CHALLENGERS", "a, b/c")
    assert [str(path) for path in load().challengers] == ["a", "b/c"]


def test_a_wrong_value_names_its_origin_and_not_itself(monkeypatch):
    monkeypatch.setenv("FRAUDSTREAM_MAX_BATCH", "s3cret")
    with pytest.raises(UserError, match=r"max_batch \(env FRAUDSTREAM_MAX_BATCH\)") as caught:
        load({"slot": -1})
    assert "slot (option --slot)" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.hint


def test_an_unknown_setting_in_the_file_is_an_error_with_the_nearest_name(tmp_path):
    path = tmp_path / "typo.toml"
    path.write_text("linger = 3\n")
    with pytest.raises(UserError, match="did you mean linger_ms"):
        load(config=path)


@pytest.mark.parametrize("content", ["slot =", "\xff"])
def test_a_file_that_is_no_toml_is_an_error(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match="is no TOML"):
        load(config=path)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        load(config=tmp_path / "none.toml")


def test_kubernetes_service_links_are_recognised(monkeypatch):
    monkeypatch.setenv("FRAUDSTREAM_METRICS_PORT", "tcp://10.0.0.1:9108")
    with pytest.raises(UserError, match="enableServiceLinks"):
        load()


def test_secrets_are_in_no_repr():
    settings = load({"kafka": ["sasl.password=hunter2"]})
    assert "hunter2" not in repr(settings.kafka_settings())
    assert "hunter2" not in repr(settings) + str(settings) + str(settings.model_dump())


def test_config_shows_values_and_origins_with_secrets_masked(run_cli, monkeypatch, config):
    monkeypatch.setenv("FRAUDSTREAM_KAFKA_SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("FRAUDSTREAM_KAFKA_SSL_KEY_PEM", "hunter3")
    done = run_cli("config", "--config", str(config))
    assert done.code == 0
    assert "hunter" not in done.out + done.err
    assert "FRAUDSTREAM_KAFKA_SASL_PASSWORD" in done.out
    shown = json.loads(run_cli("config", "--config", str(config), "--json").out)
    assert shown["kafka.sasl.password"] == {"value": "**********", "origin": "env FRAUDSTREAM_KAFKA_SASL_PASSWORD"}
    assert shown["kafka.sasl.mechanism"]["value"] == "PLAIN"
    assert shown["slot"] == {"value": 1, "origin": f"file {config}"}
    assert shown["max_batch"] == {"value": 8000, "origin": "default"}


def test_every_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_shared_option_is_a_setting():
    infos = [getattr(option, "__metadata__", (None,))[0] for _, option in inspect.getmembers(options)]
    # In an annotation, typer keeps the option's name where its default would be.
    flags = {info.default for info in infos if isinstance(info, OptionInfo)}
    special = {"challengers": "--challenger", "policy_file": "--policy"}
    names = {special.get(name, "--" + name.replace("_", "-")) for name in Settings.model_fields}
    assert flags - {"--config", "--data"} == names


def test_a_new_token_key_is_the_owners_alone_and_is_never_overwritten(run_cli, tmp_path):
    path = tmp_path / "token.key"
    assert run_cli("config", "new-token-key", "--out", str(path)).code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    again = run_cli("config", "new-token-key", "--out", str(path))
    assert again.code == 1
    assert "exists already" in again.err
    assert path.read_text() == before
    assert before.strip().partition(":")[2] not in again.out + again.err


def test_tokens_depend_on_the_key_and_its_version(tmp_path):
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        write_new_key(path, 3)
    tokens = {load_tokeniser(path).token("asha@okbank") for path in paths}
    assert len(tokens) == 2
    assert load_tokeniser(paths[0]).version == 3
    assert all(len(bytes.fromhex(token)) == 16 for token in tokens)


def test_a_token_key_everybody_can_read_is_refused(tmp_path):
    path = tmp_path / "token.key"
    write_new_key(path)
    path.chmod(0o644)
    with pytest.raises(UserError, match="everybody") as caught:
        load_tokeniser(path)
    assert "chmod 600" in caught.value.hint


def test_without_a_token_key_the_error_says_how_to_make_one():
    with pytest.raises(UserError, match="no token key") as caught:
        load_tokeniser(None)
    assert "new-token-key" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1775000000123", 1_775_000_000_123),
        ("2026-04-01", 1_775_001_600_000),
        ("2026-04-01T00:00", 1_775_001_600_000),
        ("2026-04-01T05:30:00+05:30", 1_775_001_600_000),
        ("2026-04-01T00:00:00Z", 1_775_001_600_000),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text, expected):
    assert epoch_ms(text) == expected


def test_a_time_that_is_none_says_how_to_write_one():
    with pytest.raises(UserError, match="not a time"):
        epoch_ms("yesterday")


def test_times_are_shown_in_utc_with_milliseconds():
    assert show_time(1_775_001_600_007) == "2026-04-01 00:00:00.007 UTC"
