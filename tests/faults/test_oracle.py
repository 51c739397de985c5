"""The checker checked: what is planted in a clean run's books is seen, and seen as what it is."""

import pytest

from kit.oracle import audit

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_a_run_without_faults_is_clean(make_bank, stream_of, row):
    bank = make_bank()
    bank.publish(*stream_of(5_000))
    bank.worker()
    bank.finish()
    bank.stop()
    findings = audit(bank)
    assert findings.clean, findings
    assert findings.payments == 5_000
