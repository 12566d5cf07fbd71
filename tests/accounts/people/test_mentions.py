"""A person's number is also erased where it is in the data of others, however it is written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.ledger import check_ledger
from accounts.models import Account
from accounts.models.people import RequestStage
from accounts.people.persons import Person
from campaigns import runs
from campaigns.models import Answer, Campaign, Recipient, Run, Service, SurveyAnswer
from campaigns.recipients import editing
from campaigns.runs import hopper
from otp.services import send_otp
from telephony import inbox
from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.engine import unmatched_reports
from telephony.models import Audio, Channel, Delivery, DeliveryStatus, SandboxMessage, UnmatchedReport
from tests.accounts.people.erasing import NUMBER, OTHER, TO, erase, erased, tables_with, work
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_delivery, make_empty_campaign, opt_out

pytestmark = pytest.mark.django_db


def in_sql(person: Person, text: str) -> str | None:
    """Return the text without the number, as PostgreSQL replaces it, or None if PostgreSQL does not find it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN %s ~ %s AND %s ~ %s THEN regexp_replace(%s, %s, 'erased', 'g') END",
            [text, person.core, text, person.pattern, text, person.pattern],
        )
        found: str | None = cursor.fetchone()[0]
        return found


class TestSpellings:
    @pytest.mark.parametrize(
        "text",
        [
            "9841000012",
            "+9779841000012",
            "009779841000012",
            "09841000012",
            "984-1000012",
            "984 100 00 12",
            "(977) 984.1000.012",
            "+977 (0) 984-1000-012",
            "९८४१००००१२",
            "+९७७-९८४१००००१२",
            "９８４１００００１２",
            "٩٨٤١٠٠٠٠١٢",
            "984\u2011100\u00a00012",
            "98\u200b41\u200d000012",
            "984 - 100 - 0012",
            "call9841000012now",
        ],
    )
    def test_number_is_found_in_each_spelling(self, text: str) -> None:
        person = Person([1], TO)
        said = f"Ask {text}, please."
        assert person.is_in(said)
        assert in_sql(person, said) == person.without(said)
        assert "12" not in person.without(said)

    @pytest.mark.parametrize(
        "text", ["19841000012", "98410000123", "984100001", "9841000013", "५९८४१००००१२", "9841000012९"]
    )
    def test_other_numbers_are_not_found(self, text: str) -> None:
        person = Person([1], TO)
        assert not person.is_in(text)
        assert in_sql(person, text) is None

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                ["9841000012", "984", "1000012", "100", "0012", "+977", "977", "0", "9", "-", " ", "(", ")", "]", "[", "^",
                 "\\", ".", "/", "\n", "\t", "\u2010", "\u2212", "\u200b", "९८४", "१००००१२", "x", "नमस्ते", '"', "९"]
            ),
            max_size=12,
        ).map("".join)
    )  # fmt: skip
    def test_python_and_postgresql_find_the_same(self, text: str) -> None:
        person = Person([1], TO)
        assert in_sql(person, text) == (person.without(text) if person.is_in(text) else None)


class TestOthers:
    def test_number_is_erased_in_what_others_wrote_and_were_told(self, account: Account) -> None:
        others = []
        for service in (Service.SMS, Service.CALL):
            campaign = make_empty_campaign(owner=account, service=service)
            editing.add_recipients(
                campaign=campaign, rows=[(OTHER, {"tags_phone": "984-100 0012", "tags_name": "Bishnu"})]
            )
            runs.begin(campaign=campaign, message="{tags_name}, ask {tags_phone}.")
            run_to_the_end()
            others.append(campaign)
        # The texts of the first campaign have the number, although its tags no longer do.
        editing.edit_recipient(recipient=others[0].recipients.get(), tags={"tags_phone": "none"})
        survey = make_survey(owner=account, numbers=[OTHER], plans=[asks(0, "What is your number?")])
        runs.begin(campaign=survey)
        run_to_the_end()
        answer = SurveyAnswer.objects.get()
        SurveyAnswer.objects.filter(pk=answer.pk).update(text=NUMBER)
        Delivery.objects.filter(batch=answer.run_id).update(digits=NUMBER)
        send_otp(account=account, number=OTHER, message=f"{{otp}}, from {NUMBER}", channel=Channel.SMS)
        run_to_the_end()
        inbox.receive(
            "sandbox",
            [InboundSms(sender=f"+977{OTHER}", to="", text=f"Stop {NUMBER}", at=timezone.now(), ref="1")],
        )
        opt_out(account.pk, f"+977{OTHER}", f"asked {NUMBER}")
        spoken = Delivery.objects.get(batch=others[1].runs.get().pk).audio
        assert spoken is not None
        assert tables_with(NUMBER) >= {
            "campaigns_recipient", "campaigns_surveyanswer", "otp_otp", "telephony_delivery", "telephony_inboundmessage",
            "telephony_optout", "telephony_sandboxmessage",
        }  # fmt: skip
        credits = list(Delivery.objects.order_by("pk").values_list("to", "status", "credits"))

        one = erased(account)

        assert tables_with(NUMBER) == set()
        assert list(Delivery.objects.order_by("pk").values_list("to", "status", "credits")) == credits
        assert Delivery.objects.filter(text="Bishnu, ask erased.").count() == 2
        assert Recipient.objects.filter(number=OTHER, tags__tags_name="Bishnu").count() == 2
        assert not Audio.objects.filter(pk=spoken.pk).exists()
        assert one.found["mentions"] >= 6
        assert not check_ledger().differences

    def test_message_that_is_under_way_is_erased_when_it_has_ended(self, account: Account) -> None:
        campaign = make_empty_campaign(owner=account)
        editing.add_recipients(campaign=campaign, rows=[(OTHER, {"tags_phone": NUMBER})])
        run = runs.begin(campaign=campaign, message="Ask {tags_phone}.")
        hopper.fill(run.pk)
        one = erase(account)
        work()
        one.refresh_from_db()
        assert (one.stage, "others" in one.waits_for) == (RequestStage.WAIT, True)
        assert Delivery.objects.get().text == f"Ask {NUMBER}."  # it is sent as it was begun
        run_to_the_end()
        work()
        one.refresh_from_db()
        assert one.stage == RequestStage.DONE
        assert tables_with(NUMBER) == set()

    def test_texts_for_all_recipients_are_counted_and_only_those_of_ended_runs_change(
        self, account: Account
    ) -> None:
        campaign = make_campaign(
            owner=account, numbers=[OTHER], message=f"Call {NUMBER}.", name=f"Ask {NUMBER}"
        )
        runs.begin(campaign=campaign)
        run_to_the_end()
        make_campaign(owner=make_account(), numbers=[OTHER], message=f"Call {NUMBER}.")
        make_survey(owner=account, numbers=[OTHER], plans=[asks(0, f"Is {NUMBER} your number?")])
        one = erased(account)
        assert one.found["campaign_texts"] == 2
        assert (Run.objects.get().sms_message, Delivery.objects.get().text) == (
            "Call erased.",
            "Call erased.",
        )
        assert Campaign.objects.get(pk=campaign.pk).message == f"Call {NUMBER}."

    def test_other_accounts_keep_what_they_have(self, account: Account) -> None:
        other = make_account(credits=100)
        campaign = make_empty_campaign(owner=other)
        editing.add_recipients(campaign=campaign, rows=[(OTHER, {"tags_phone": NUMBER})])
        runs.begin(campaign=campaign, message="Ask {tags_phone}.")
        run_to_the_end()
        erased(account)
        assert Delivery.objects.get().text == f"Ask {NUMBER}."
        assert SandboxMessage.objects.get().text == f"Ask {NUMBER}."
        assert Recipient.objects.get().tags == {"tags_phone": NUMBER}


class TestUnmatchedReports:
    @staticmethod
    def report() -> None:
        event = CarrierEvent(
            ref="r1", number=TO, status=DeliveryStatus.COMPLETED, at=timezone.now(), text=f"about {TO}"
        )
        unmatched_reports.store("sandbox", [event])

    def test_reports_on_the_number_are_deleted(self, account: Account) -> None:
        self.report()
        erased(account)
        assert tables_with(NUMBER) == set()

    def test_reports_that_may_be_about_another_account_stay(self, account: Account) -> None:
        self.report()
        make_delivery(
            owner=make_account(),
            to=TO,
            status=DeliveryStatus.UNKNOWN,
            expires_at=timezone.now() + timedelta(hours=1),
        )
        erased(account)
        assert UnmatchedReport.objects.exists()


class TestRepeating:
    def test_erasing_twice_finds_nothing_more(self, account: Account) -> None:
        campaign = make_empty_campaign(owner=account)
        editing.add_recipients(campaign=campaign, rows=[(OTHER, {"tags_phone": NUMBER}), (NUMBER, {})])
        runs.begin(campaign=campaign, message="Ask {tags_phone}.")
        run_to_the_end()
        first, second = erased(account), erased(account)
        assert first.pk != second.pk
        assert first.found["recipients"] == 1
        assert set(second.found.values()) == {0}

    def test_number_in_an_answer_key_of_json_is_a_whole_value(self, account: Account) -> None:
        """A tag value is removed as a whole, also if it has more than the number."""
        campaign = make_empty_campaign(owner=account)
        tags: dict[str, object] = {
            "tags_a": f'"{NUMBER}" (home)',
            "tags_b": int(NUMBER),
            "tags_c": f"1{NUMBER}",
        }
        editing.add_recipients(campaign=campaign, rows=[(OTHER, tags)])
        erased(account)
        assert Recipient.objects.get().tags == {"tags_a": "", "tags_b": "", "tags_c": f"1{NUMBER}"}


def test_answers_of_kind_speech_are_no_texts(account: Account) -> None:
    survey = make_survey(owner=account, numbers=[OTHER], plans=[asks(0, "Yes?", answer=Answer.SPEECH)])
    runs.begin(campaign=survey)
    run_to_the_end()
    before = SurveyAnswer.objects.get().text
    erased(account)
    assert SurveyAnswer.objects.get().text == before
