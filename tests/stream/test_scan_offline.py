"""Without a broker a scan fails, and says so."""

import pytest

from stream import scan
from stream.settings import KafkaSettings


def test_an_unreachable_broker_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(scan, "REQUEST_TIMEOUT_S", 0.3)
    with pytest.raises(scan.ScanError, match=r"127\.0\.0\.1:1 ") as caught:
        scan.Scan(KafkaSettings("127.0.0.1:1"), "decisions")
    assert "broker start" in caught.value.hint
