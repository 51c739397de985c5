"""The page of a backtest: one file that needs nothing else, says what metrics.json says, whatever the replay held."""

import json
import re
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from backtest.compare import CompareSettings, Comparison, compare
from backtest.report import write_report
from backtest.report.report import page
from backtest.report.verdict import headline, signed, tiles
from backtest.result import METRICS, REPORT, Result
from kit.backtested import CANDIDATE, CHAMPION, by_hand
from models.report import words
from models.report.measured import ReportError

MOST_BYTES = 6_000_000
SETTINGS = CompareSettings(draws=20)


@pytest.fixture(scope="session")
def html(replayed, compared) -> str:
    return page(replayed, compared).html().decode()


def page_of(result: Result) -> str:
    return page(result, compare(result, SETTINGS)).html().decode().replace(words.SPACE, " ")


def without_pictures(html: str) -> str:
    return re.sub(r'src="data:image/[^"]+"', "", html)


def test_the_page_is_small_enough_to_send_and_needs_no_network(html):
    assert len(html) < MOST_BYTES
    assert not re.search(r'(?:src|href)="(?!#|data:)', html)
    assert "http" not in without_pictures(html)


def test_every_picture_says_what_it_shows(html):
    images = re.findall(r"<img [^>]*>", html)
    assert len(images) >= 9
    assert all(re.search(r'alt="[^"]{15,}"', image) for image in images)


def test_the_same_comparison_gives_the_same_bytes(replayed, compared, html):
    assert page(replayed, compared).html().decode() == html


def test_figures_in_large_type_are_where_they_say_in_metrics_json(replayed, compared, tmp_path):
    copy = Path(shutil.copytree(replayed.directory, tmp_path / "copy"))
    write_report(Result.open(copy), compared)
    metrics = json.loads((copy / METRICS).read_text())
    assert msgspec.json.decode((copy / METRICS).read_bytes(), type=Comparison) == compared
    html = (copy / REPORT).read_text()
    sources = re.findall(r'data-source="([^"]+)"[^>]*>([^<]+)<', html)
    assert len(sources) == len(tiles(compared)) == 6
    for source, shown in sources:
        value = metrics
        for key in source.split("."):
            value = value[key]
        last = source.rpartition(".")[2]
        write = {
            "precision": words.percent,
            "recall": words.percent,
            "caught": words.count,
            "alerts_per_day": words.count,
        }
        assert shown.rpartition("→ ")[2] == write.get(last, words.rupees)(value)


def test_every_place_that_the_provenance_names_is_in_metrics_json(html, compared):
    metrics = json.loads(msgspec.json.encode(compared))
    paths = set(re.findall(r"\.(?:judges|contests|label_delay|examples)[\w.]*", without_pictures(html)))
    assert len(paths) > 12
    for path in paths:
        value = metrics
        for key in path.strip(".").replace("NAME", "new").split("."):
            value = value[key]


def test_an_auditor_finds_command_models_hashes_and_parameters(replayed, html):
    text = html.replace(words.SPACE, " ")
    for judge in replayed.judges:
        assert judge.sha256 in text
    for expected in (
        replayed.run.command,
        replayed.run.policy_version,
        f"fraudstream what-if {replayed.directory} --out NEW",
        "alerts an analyst handles a day",
        "Verdicts still due",
    ):
        assert expected in text


def test_the_headline_tells_more_frauds_fewer_and_as_many(tmp_path):
    def told(*scores: tuple[int, int]) -> str:
        payments = [{"is_fraud": True, "payer": i, "score": a, "score_new": b} for i, (a, b) in enumerate(scores)]
        payments += [{"score": 700, "score_new": 0}]
        return headline(compare(by_hand(tmp_path / str(scores), payments), SETTINGS)).replace(words.SPACE, " ")

    assert "new would have caught 1 more frauds, ₹1,000 more, within the same 2 alerts" in told((700, 700), (0, 700))
    assert "1 fewer frauds, ₹1,000 less" in told((700, 700), (700, 0), (0, 0), (0, 0))
    assert "as many frauds, the same money" in told((700, 700))


def test_a_champion_alone_is_reported_without_a_contest(tmp_path):
    payments = [{"is_fraud": True, "kind": "app_scam", "score": 700}, {"score": 700}, {}]
    text = page_of(by_hand(tmp_path / "result", payments, [CHAMPION]))
    assert "champion caught 1 of 1 frauds with 2 alerts a day" in text
    assert "Frauds it missed" in text
    assert "More than chance?" not in text
    assert "→" not in text


def test_several_candidates_each_have_their_part(tmp_path):
    other = msgspec.structs.replace(CANDIDATE, name="other")
    payments = [{"is_fraud": True, "kind": "app_scam", "score": 700, "score_other": 900}, {"score_new": 600}]
    text = page_of(by_hand(tmp_path / "result", payments, [CHAMPION, CANDIDATE, other]))
    assert "champion and new" in text
    assert "champion and other" in text
    assert text.startswith("<!DOCTYPE html>")


def test_payments_without_fraud_are_reported_with_what_cannot_be_told(tmp_path):
    text = page_of(by_hand(tmp_path / "result", [{"score": 700}, {}]))
    assert "No fraud is known in these payments" in text
    assert not re.search(r"\b(nan|None|inf)\b", without_pictures(text))


@pytest.mark.parametrize("scores", [(0, 0), (700, 0), (0, 700), (1000, 1000)])
def test_one_fraud_is_enough_for_every_section(tmp_path, scores):
    fraud = {"is_fraud": True, "kind": "app_scam", "score": scores[0], "score_new": scores[1], "known_at": 9**15}
    text = page_of(by_hand(tmp_path / "result", [fraud]))
    assert not re.search(r"\b(nan|None|inf)\b", without_pictures(text))


def test_what_looks_like_markup_is_text(tmp_path):
    evil = '<b onclick="x">'
    payments = [{"is_fraud": True, "kind": evil, "score": 700, "transaction_id": evil}]
    html = page_of(by_hand(tmp_path / "result", payments, notes=(evil,), command=evil))
    assert "<b onclick" not in html
    assert "&lt;b onclick" in html


def test_notes_of_the_replay_are_pointed_out(tmp_path):
    text = page_of(by_hand(tmp_path / "result", [{}], notes=("Retention had removed two days.",), unreadable=3))
    assert "Retention had removed two days." in text
    assert "3 records could not be read" in text


def test_without_matplotlib_metrics_are_there_and_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = by_hand(tmp_path / "result", [{}])
    with pytest.raises(ReportError, match="matplotlib"):
        write_report(result, compare(result, SETTINGS))
    assert (result.directory / METRICS).exists()


def test_differences_are_written_with_their_sign():
    assert signed(3, "{:.0f}".format).replace("\N{WORD JOINER}", "") == "+3"
    assert signed(-3, "{:.0f}".format).replace("\N{WORD JOINER}", "") == "−3"
    assert signed(0.2, "{:.0f}".format) == "0"
    assert signed(None, str) == "–"
    assert words.rupees(-250_000).replace(words.SPACE, " ") == "−₹2.5 lakh"
