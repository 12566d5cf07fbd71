"""Test when refusals in a row count against the trunk, independently of the carrier."""

from __future__ import annotations

import pytest

from telephony.carriers.refusals import (
    DOUBT_RESET_SECONDS,
    MAX_DOUBT_SECONDS,
    MAX_REFUSALS_IN_A_ROW,
    MAX_REST_SECONDS,
    Meaning,
    RefusalsInARow,
    Rest,
)


class CountedRefusals:
    """Counts refusals that the test adds, a second apart."""

    def __init__(self) -> None:
        self.now = 0.0
        self.refusals = RefusalsInARow()

    def refuse(self, recipient: object, meaning: Meaning, *, code: object = 1) -> bool:
        self.now += 1
        return self.refusals.count(
            recipient=str(recipient), meaning=meaning, code=code, sent_at=self.now, now=self.now
        )


COUNTED = sorted(MAX_REFUSALS_IN_A_ROW, key=lambda meaning: MAX_REFUSALS_IN_A_ROW[meaning])


@pytest.mark.parametrize("meaning", COUNTED)
def test_enough_different_recipients_in_a_row_count_against_the_trunk(meaning: Meaning) -> None:
    row, enough = CountedRefusals(), MAX_REFUSALS_IN_A_ROW[meaning]
    assert [row.refuse(n, meaning) for n in range(enough)] == [False] * (enough - 1) + [True]
    assert row.refuse(0, meaning), "further refusals count, too"


@pytest.mark.parametrize("meaning", COUNTED)
def test_repeated_refusals_of_one_recipient_never_count_against_the_trunk(meaning: Meaning) -> None:
    row = CountedRefusals()
    assert not any(row.refuse("the same", meaning) for _ in range(1000))


@pytest.mark.parametrize("meaning", COUNTED)
def test_acceptance_resets_the_count_unless_it_was_sent_before_the_first_refusal(meaning: Meaning) -> None:
    row, enough = CountedRefusals(), MAX_REFUSALS_IN_A_ROW[meaning]
    for n in range(enough - 1):
        row.refuse(n, meaning)
        row.refusals.end(sent_at=0.0)
    assert row.refuse("last", meaning)
    row.refusals.end(sent_at=row.now)
    assert not row.refuse("next", meaning)


def test_recipient_refusals_count_only_with_the_same_code() -> None:
    row = CountedRefusals()
    assert not any(row.refuse(n, Meaning.RECIPIENT, code=n % 2) for n in range(1000))


def test_recipient_refusal_resets_the_count_of_doubtful_ones() -> None:
    row = CountedRefusals()
    for n in range(1000):
        meaning = Meaning.RECIPIENT if n % MAX_REFUSALS_IN_A_ROW[Meaning.DOUBTFUL] == 0 else Meaning.DOUBTFUL
        assert not row.refuse(n, meaning)


def test_three_trunk_refusals_among_doubtful_ones_count_against_the_trunk() -> None:
    row = CountedRefusals()
    answers = [
        row.refuse(1, Meaning.TRUNK),
        row.refuse(2, Meaning.DOUBTFUL),
        row.refuse(3, Meaning.TRUNK),
        row.refuse(4, Meaning.TRUNK),
    ]
    assert answers == [False, False, False, True]


@pytest.mark.parametrize("meaning", COUNTED)
def test_doubtful_and_recipient_refusals_are_believed_after_twelve_hours(meaning: Meaning) -> None:
    row = CountedRefusals()
    for n in range(MAX_REFUSALS_IN_A_ROW[meaning]):
        row.refuse(n, meaning)
    while row.now < MAX_DOUBT_SECONDS + 1:
        row.now += DOUBT_RESET_SECONDS / 2
        row.refuse("next", meaning)
    assert row.refuse("next", meaning) == (meaning in (Meaning.TRUNK, Meaning.BUSY))
    row.now += DOUBT_RESET_SECONDS + 1
    assert row.refuse("next", meaning), "after an hour without refusals they are doubted again"


def test_rest_doubles_up_to_its_maximum_and_ends_with_a_later_success() -> None:
    rest, now, lengths = Rest(), 0.0, []
    for _ in range(9):
        rest.begin("why", now=now)
        lengths.append(rest.seconds_left(now=now))
        rest.begin("known already", now=now + 0.1)
        assert rest.reason == "why"
        now += lengths[-1]
    assert lengths[:4] == [1, 2, 4, 8]
    assert lengths[-1] == MAX_REST_SECONDS
    rest.end(sent_at=now - MAX_REST_SECONDS - 1)
    assert rest
    rest.end(sent_at=now)
    assert not rest
    rest.begin("again", now=now)
    assert rest.seconds_left(now=now) == 1
