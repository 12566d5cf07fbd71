"""Keywords of an account's own, beside those that every account has."""

from __future__ import annotations

from typing import Any

import pytest

from telephony.engine import delivery_reports
from telephony.models import OptOut, OptOutWay
from telephony.optouts.keywords import START_WORDS, STOP_WORDS, Keyword, OwnKeywords, keyword_in
from tests.factories import make_account, make_delivery
from tests.telephony.test_optouts import SENDER, inbound_sms
from tests.v0 import Caller

SETTINGS = "/api/system/settings/"
OWN = {"mai": {"stop": ["बन्न करू", "Enough"]}, "en": {"start": ["come back"]}}


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("बन्न करू", Keyword.STOP),
        ("बन्न   करू।", Keyword.STOP),
        ("enough", Keyword.STOP),
        ("ENOUGH, please", Keyword.STOP),
        ("Please, enough!", Keyword.STOP),
        ("Come back", Keyword.START),
        ("बन्न", None),
        ("come back tomorrow", None),
        ("that is enough", None),
        ("STOP", Keyword.STOP),
        ("start", Keyword.START),
    ],
)
def test_usual_keywords_count_beside_those_of_the_account(text: str, keyword: Keyword | None) -> None:
    assert keyword_in(text, OwnKeywords.of(OWN)) is keyword


@pytest.mark.parametrize("word", sorted({word for words in STOP_WORDS.values() for word in words}))
def test_each_usual_word_opts_out(word: str) -> None:
    assert keyword_in(word) is Keyword.STOP


@pytest.mark.parametrize("word", sorted({word for words in START_WORDS.values() for word in words}))
def test_each_usual_word_opts_in_again(word: str) -> None:
    assert keyword_in(word) is Keyword.START


@pytest.mark.django_db
class TestSetting:
    def test_words_are_those_of_the_account_that_the_sms_answers(self) -> None:
        first, second = make_account(), make_account()
        Caller(first).put(SETTINGS, {"opt_out_words": OWN})
        for owner in (first, second):
            make_delivery(to=SENDER, owner=owner)
            delivery_reports.apply_events("sandbox", [inbound_sms("enough")])
        (one,) = OptOut.objects.all()
        assert (one.owner, one.way, one.source) == (first, OptOutWay.KEYWORD, "enough")
        assert one.evidence["to"] == "31001"
        assert one.evidence["inbox"]
        make_delivery(to=SENDER, owner=first)
        delivery_reports.apply_events("sandbox", [inbound_sms("Come back")])
        assert not OptOut.objects.exists()

    def test_setting_is_shown_as_it_was_sent_and_can_be_switched_off(self) -> None:
        caller = Caller(make_account())
        assert caller.put(SETTINGS, {"opt_out_words": OWN})["data"]["settings"]["opt_out_words"] == OWN
        assert caller.get(SETTINGS)["data"]["settings"]["opt_out_words"] == OWN
        assert caller.put(SETTINGS, {"opt_out_words": None})["data"]["settings"]["opt_out_words"] is None

    @pytest.mark.parametrize(
        "words",
        [
            ["enough"], "enough", 7, {"mai": ["enough"]}, {"mai": {}}, {"mai": {"pause": ["x"]}}, {"mai": {"stop": "x"}},
            {"mai": {"stop": [7]}}, {"mai": {"stop": [""]}}, {"mai": {"stop": ["!?"]}},
            {"mai": {"stop": ["one two three four"]}}, {"mai": {"stop": ["x" * 41]}}, {"Maithili": {"stop": ["x"]}},
            {"mai": {"stop": ["start"]}}, {"mai": {"start": ["Stop!"]}}, {"mai": {"stop": ["x"]}, "ne": {"start": ["X"]}},
            {"mai": {"stop": [f"word{n}" for n in range(101)]}},
            {"mai": {"stop": [f"word{n}" for n in range(60)], "start": [f"back{n}" for n in range(60)]}},
        ],
    )  # fmt: skip
    def test_wrong_words_are_refused_with_a_sentence(self, words: Any) -> None:
        caller = Caller(make_account())
        answer = caller.fails("PUT", SETTINGS, {"opt_out_words": words}, status=400)
        assert "opt_out_words" in answer["message"]
        assert caller.get(SETTINGS)["data"]["settings"]["opt_out_words"] is None
