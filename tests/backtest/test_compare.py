"""The comparison of two models on a dozen payments whose answers are known, and on simulated ones."""

import msgspec
import pytest

from backtest.compare import CompareSettings, Comparison, compare
from backtest.compare.compare import own_figures
from backtest.compare.settings import CompareError
from backtest.result import Judge, Result
from kit.backtested import CANDIDATE, CHAMPION, START, by_hand
from models.engine import DUPLICATE

DAY_MS = 86_400_000
SETTINGS = CompareSettings(draws=50, analysts=1, alerts_per_analyst=1.5)


def fraud(payer: int, rupees: float, champion: int, new: int, kind: str = "app_scam", **fields) -> dict:
    fields |= {"payer": payer, "amount": round(100 * rupees), "score": champion, "score_new": new}
    return {"is_fraud": True, "kind": kind, **fields}


PAYMENTS = [
    fraud(0, 1_000, 700, 700),
    fraud(0, 3_000, 100, 550),
    fraud(1, 60_000, 650, 400, event_time=START + 20 * DAY_MS // 24),
    fraud(2, 400, 100, 100, kind="sim_swap", known_at=START + DAY_MS),
    {"score": 610},
    {"score": 620, "score_new": 510},
    *({} for _ in range(5)),
    {"event_time": START + 2 * DAY_MS},
    fraud(0, 1_000, 700, 700, status=DUPLICATE, flagged=False, flagged_new=False),
]


@pytest.fixture
def result(tmp_path) -> Result:
    return by_hand(tmp_path / "result", PAYMENTS)


@pytest.fixture
def comparison(result) -> Comparison:
    return compare(result, SETTINGS)


def test_counts_and_money_at_the_own_thresholds(comparison):
    assert (comparison.payments, comparison.repeats, comparison.frauds, comparison.days) == (12, 1, 4, 2)
    champion, new = (comparison.judges[name].own for name in ("champion", "new"))
    assert (champion.alerts, champion.caught, champion.false_alerts, champion.missed) == (4, 2, 2, 2)
    assert (champion.alerts_per_day, champion.recall, champion.precision) == (2, 0.5, 0.5)
    assert champion.false_positive_rate == 2 / 8
    assert (champion.rupees_caught, champion.rupees_missed) == (61_000, 3_400)
    assert (champion.reviews_cost, champion.net_saved) == (200, 60_800)
    assert champion.saved_share == 61_000 / 64_400
    assert (new.alerts, new.caught, new.rupees_caught) == (3, 2, 4_000)


def test_the_candidate_is_also_judged_with_the_champions_number_of_alerts(comparison):
    equal = comparison.judges["new"].equal
    assert (equal.threshold, equal.alerts, equal.caught, equal.rupees_caught) == (101, 4, 3, 64_000)
    assert comparison.judges["champion"].equal == comparison.judges["champion"].own
    assert comparison.contests["new"].equal_difference.caught.estimate == 1


def test_with_all_analysts_busy_no_more_alerts_are_made_than_they_can_look_at(comparison):
    assert comparison.judges["champion"].capacity.alerts == 3
    assert comparison.judges["new"].capacity.threshold == 401


def test_who_flags_what(comparison):
    overlap = comparison.contests["new"].own
    assert [share.payments for share in overlap.frauds] == [1, 1, 1, 1]
    assert [share.rupees for share in overlap.frauds] == [1_000, 60_000, 3_000, 400]
    assert [share.payments for share in overlap.false_alerts] == [1, 1, 0]
    assert overlap.kinds == {"app_scam": (1, 1, 1, 0), "sim_swap": (0, 0, 0, 1)}
    assert overlap.jaccard == 2 / 5


def test_groups_by_kind_amount_hour_and_day(comparison):
    champion = comparison.judges["champion"]
    assert [(kind.name, kind.frauds, kind.caught) for kind in champion.kinds] == [
        ("app_scam", 3, 2),
        ("sim_swap", 1, 0),
    ]
    assert [(band.payments, band.frauds, band.caught) for band in champion.amounts] == [
        (1, 1, 0), (9, 1, 1), (1, 1, 0), (0, 0, 0), (1, 1, 1),
    ]  # fmt: skip
    assert (champion.hours[20].frauds, champion.hours[20].caught, champion.hours[0].payments) == (1, 1, 11)
    assert [(day.name, day.payments, day.alerts) for day in champion.days] == [
        ("2025-10-10", 11, 4),
        ("2025-10-12", 1, 0),
    ]


def test_a_time_zone_moves_hours_and_days(result):
    champion = compare(result, msgspec.structs.replace(SETTINGS, time_zone="Asia/Kolkata")).judges["champion"]
    assert champion.hours[1].frauds == 1
    assert [day.name for day in champion.days] == ["2025-10-10", "2025-10-11", "2025-10-12"]


def test_defrauded_payers(comparison):
    champion, new = (comparison.judges[name].episodes for name in ("champion", "new"))
    assert (champion.payers, champion.alerted, champion.rupees_before) == (3, 2, 400)
    assert (new.alerted, new.rupees_before) == (1, 60_400)


def test_what_is_lost_before_the_first_alert_is_counted(tmp_path):
    payments = [fraud(7, 10, 0, 0), fraud(7, 20, 700, 0), fraud(7, 40, 0, 700)]
    episodes = compare(by_hand(tmp_path / "result", payments), SETTINGS).judges["champion"].episodes
    assert (episodes.alerted, episodes.rupees_before) == (1, 10)


def test_verdicts_that_are_due_are_told_and_left_out_of_the_settled_figures(result):
    comparison = compare(result, msgspec.structs.replace(SETTINGS, label_delay_ms=DAY_MS))
    assert (comparison.label_delay.payments, comparison.label_delay.frauds) == (1, 0)
    comparison = compare(result, msgspec.structs.replace(SETTINGS, label_delay_ms=36 * DAY_MS // 24))
    assert (comparison.label_delay.payments, comparison.label_delay.frauds) == (2, 1)
    assert comparison.judges["champion"].settled.caught == 1
    assert comparison.judges["champion"].settled.false_alerts == 2


def test_the_delay_is_the_replays_or_else_as_verdicts_came(tmp_path, comparison):
    assert comparison.label_delay.delay_ms == DAY_MS - 3 * 60_000
    assert comparison.label_delay.known_within["1 day"] == 1 / 4
    told = by_hand(tmp_path / "told", PAYMENTS, label_delay_ms=5)
    assert compare(told, SETTINGS).label_delay.delay_ms == 5


def test_examples_name_the_payment_its_scores_and_what_decided(comparison):
    sorts = {examples.sort: examples.payments for examples in comparison.contests["new"].examples}
    [example] = sorts["Frauds that only champion caught"]
    assert (example.transaction_id, example.rupees, example.kind) == ("t2", 60_000, "app_scam")
    assert example.scores == {"champion": 650, "new": 400}
    assert example.decided_by == {"champion": "the model: 650, alerts from 600"}
    assert [payment.transaction_id for payment in sorts["False alerts of both"]] == ["t5"]
    assert any("--keep-features" in note for note in comparison.notes)


def test_lists_and_rules_stand_whatever_the_threshold(tmp_path):
    payments = [
        fraud(0, 100, 0, 0, flagged=True, decided_by="list", rule="block:payee"),
        fraud(1, 200, 0, 0, flagged=True, decided_by="rule", rule="mule_registry"),
        fraud(2, 400, 900, 0, flagged=False, decided_by="list", rule="allow:payer"),
        fraud(3, 800, 900, 0),
    ]
    comparison = compare(by_hand(tmp_path / "result", payments), SETTINGS)
    champion = comparison.judges["champion"]
    assert champion.own.rupees_caught == 1_100
    assert champion.sweep.rupees_caught[0] == 1_100
    assert champion.sweep.rupees_caught[901] == 300
    by_rule, by_list = (comparison.contests["new"].examples[1].payments[i].decided_by["champion"] for i in (1, 2))
    assert (by_rule, by_list) == ("the rule mule_registry", "the block list, by payee")


def test_a_second_opinions_threshold_moves_with_the_models(tmp_path):
    judge = msgspec.structs.replace(CHAMPION, second_threshold=700)
    payments = [
        fraud(0, 100, 0, 0, second_score=710, flagged=True, decided_by="second_opinion"),
        fraud(1, 200, 0, 0, second_score=690),
        fraud(2, 400, 650, 0, second_score=0),
    ]
    champion = compare(by_hand(tmp_path / "result", payments, [judge]), SETTINGS).judges["champion"]
    assert champion.own.rupees_caught == champion.sweep.rupees_caught[600] == 500
    assert champion.sweep.rupees_caught[590] == 700
    assert champion.sweep.rupees_caught[611] == 400


def test_a_champion_alone_has_examples_and_no_contest(tmp_path):
    comparison = compare(by_hand(tmp_path / "result", PAYMENTS, [CHAMPION]), SETTINGS)
    assert comparison.contests == {}
    sorts = {examples.sort: [p.transaction_id for p in examples.payments] for examples in comparison.examples}
    assert sorts == {"Frauds it caught": ["t2", "t0"], "Frauds it missed": ["t1", "t3"], "False alerts": ["t4", "t5"]}


def test_several_candidates_each_stand_against_the_champion(tmp_path):
    other = msgspec.structs.replace(CANDIDATE, name="other", threshold=50)
    payments = [payment | {"score_other": payment.get("score", 0)} for payment in PAYMENTS[:-1]]
    comparison = compare(by_hand(tmp_path / "result", payments, [CHAMPION, CANDIDATE, other]), SETTINGS)
    assert list(comparison.contests) == ["new", "other"]
    assert comparison.contests["other"].rank_agreement == pytest.approx(1)
    assert comparison.judges["other"].own.recall == 1


def test_without_fraud_what_cannot_be_told_is_none(tmp_path):
    comparison = compare(by_hand(tmp_path / "result", [{"score": 700}, {}]), SETTINGS)
    champion = comparison.judges["champion"]
    assert (champion.own.recall, champion.quality.auc, champion.own_intervals.recall.low) == (None, None, None)
    assert champion.own.precision == 0


def test_payments_without_a_verdict_are_honest(tmp_path):
    result = by_hand(
        tmp_path / "result", [{"is_fraud": None, "kind": None, "score": 700}, fraud(1, 1, 700, 0, kind="")]
    )
    comparison = compare(result, SETTINGS)
    assert comparison.judges["champion"].own.false_alerts == 1
    assert comparison.judges["champion"].kinds[0].name == "unnamed"


def test_a_window_without_payments_and_an_unknown_time_zone_are_errors(tmp_path):
    with pytest.raises(CompareError, match="no payment"):
        compare(by_hand(tmp_path / "result", []), SETTINGS)
    with pytest.raises(CompareError, match="Mars/Olympus"):
        CompareSettings(time_zone="Mars/Olympus")


def test_it_can_be_written_and_read(comparison):
    assert msgspec.json.decode(msgspec.json.encode(comparison), type=Comparison) == comparison


def test_simulated_payments_have_reasons_of_each_model_that_flagged(replayed, compared):
    assert compared.notes == ()
    shown = [p for sort in compared.contests["new"].examples for p in sort.payments if p.decided_by]
    assert shown
    assert all(payment.reasons[name] for payment in shown for name in payment.decided_by)
    assert own_figures(replayed, compared.settings) == {name: judge.own for name, judge in compared.judges.items()}


def test_a_model_that_is_gone_leaves_examples_without_reasons(replayed):
    gone = [msgspec.structs.replace(judge, bundle="gone") for judge in replayed.judges]
    run = msgspec.structs.replace(replayed.run, judges=tuple(gone))
    comparison = compare(Result(replayed.directory, run), CompareSettings(draws=10))
    assert [note for note in comparison.notes if "gone" in note]
    moved: list[Judge] = [msgspec.structs.replace(judge, sha256="f" * 64) for judge in replayed.judges]
    run = msgspec.structs.replace(replayed.run, judges=tuple(moved))
    assert "another model" in compare(Result(replayed.directory, run), CompareSettings(draws=10)).notes[0]
