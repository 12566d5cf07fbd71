"""A person's data is erased everywhere in an account, and nowhere else; money and counts stay."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts import twins
from accounts.ledger import check_ledger
from accounts.models import Account, AuditEntry, PersonRequest
from accounts.models.people import RequestStage
from accounts.people import requests
from campaigns import runs
from campaigns.models import (
    Answer,
    Campaign,
    ImportStatus,
    Recipient,
    Service,
    SheetImport,
    SurveyAnswer,
)
from campaigns.people import erasing as of_campaigns
from campaigns.recipients import editing
from campaigns.runs import run_statuses
from otp.models import Otp
from otp.services import send_otp
from telephony import inbox, optouts
from telephony.carriers.base import InboundSms
from telephony.media import recording_path
from telephony.models import (
    Audio,
    Channel,
    Delivery,
    OptOut,
)
from tests.accounts.people.erasing import (
    NAME,
    NUMBER,
    OTHER,
    OTHER_NAME,
    TO,
    campaign_with_person,
    erase,
    erased,
    sent_campaign,
    tables_with,
    work,
)
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_all_loops_once, run_to_the_end
from tests.factories import (
    client_of,
    make_account,
    make_campaign,
    make_delivery,
    make_empty_campaign,
    opt_out,
)
from tests.scale import at_scale
from tests.webhooks.making import make_endpoint

pytestmark = pytest.mark.django_db


def spoken_survey(account: Account) -> Campaign:
    plans = [asks(0, "Are you well?"), asks(1, "What do you need?", answer=Answer.SPEECH)]
    survey = make_survey(owner=account, numbers=[NUMBER, OTHER], plans=plans)
    runs.begin(campaign=survey)
    run_to_the_end()
    assert SurveyAnswer.objects.filter(run__campaign=survey, audio__isnull=False).count() == 2
    return survey


def answered_sms(account: Account, text: str) -> None:
    inbox.receive(
        "sandbox", [InboundSms(sender=TO, to="", text=text, at=timezone.now(), ref=f"{account.pk}")]
    )


class TestEverywhere:
    def test_nothing_personal_is_left_in_any_table(self, account: Account) -> None:
        client = client_of(account)
        make_endpoint(account)
        sent = sent_campaign(account)
        sent_campaign(account, service=Service.CALL)
        spoken_survey(account)
        send_otp(account=account, number=NUMBER, message=f"{NAME}: {{otp}}", channel=Channel.SMS)
        run_to_the_end()
        answered_sms(account, f"STOP {NAME}")
        optout = OptOut.objects.get(owner=account)
        LogEntry.objects.create(
            user_id=account.members.get().user_id,
            content_type=ContentType.objects.get_for_model(OptOut),
            object_id=str(optout.pk),
            object_repr=str(optout),
            action_flag=ADDITION,
        )
        added = client.post(
            f"/api/system/campaigns/number/{sent.pk}/",
            {"number": NUMBER, "available_tags": {"tags_name": NAME}},
            format="json",
            HTTP_IDEMPOTENCY_KEY="one",
        )
        assert added.status_code == 201, added.content
        SheetImport.objects.create(
            campaign=sent,
            file="imports/gone",
            after=0,
            status=ImportStatus.DONE,
            errors=[{"row": 3, "message": f"“{NUMBER}, 9841” has characters that no phone number has."}],
        )
        other = Recipient.objects.get(campaign=sent, number=OTHER)
        editing.edit_recipient(recipient=other, tags={"tags_phone": "०९८४१०००-०१२ (ask " + TO + ")"})
        # What an earlier release has stored.
        Campaign.objects.filter(pk=sent.pk).update(
            tag_sizes={"tags_name": {**sent.tag_sizes["tags_name"], "longest": NAME}}
        )
        before = tables_with(NUMBER, NAME)
        assert before >= {
            "campaigns_recipient", "campaigns_campaign", "campaigns_sheetimport", "telephony_delivery",
            "telephony_inboundmessage", "telephony_optout", "telephony_sandboxmessage", "otp_otp", "iris_keptanswer",
            "django_admin_log",
        }  # fmt: skip
        assert not check_ledger().differences
        credits = [row.credits for row in Recipient.objects.order_by("pk")]
        totals = Delivery.objects.count(), Recipient.objects.count(), Otp.objects.count()

        one = erased(account)

        assert tables_with(NUMBER, NAME) == set()
        assert tables_with(OTHER_NAME) >= {"campaigns_recipient", "telephony_delivery"}
        assert not check_ledger().differences
        assert [row.credits for row in Recipient.objects.order_by("pk")] == credits
        assert totals == (Delivery.objects.count(), Recipient.objects.count(), Otp.objects.count())
        assert one.found["recipients"] == 4
        assert one.found["opt_outs"] == one.found["otps"] == one.found["inbox"] == 1

    def test_recordings_are_removed_from_the_storage_unless_others_need_them(self, account: Account) -> None:
        survey = spoken_survey(account)
        own, other = SurveyAnswer.objects.filter(audio__isnull=False).order_by("recipient__number")
        assert own.audio is not None
        if own.audio_id == other.audio_id:  # the sandbox's people all say the same
            other.delete()
        name = own.audio.name
        client_of(account).get(recording_path(name))
        files = [f"audio/{name[:2]}/{name}.{kind}" for kind in ("wav", "mp3")]
        assert [default_storage.exists(file) for file in files] == [True, True]
        erased(account)
        assert not Audio.objects.filter(name=name).exists()
        assert [default_storage.exists(file) for file in files] == [False, False]
        assert not SurveyAnswer.objects.filter(run__campaign=survey, recipient__number="erased").exists()

    def test_recording_that_another_response_shares_stays(self, account: Account) -> None:
        spoken_survey(account)
        own, other = SurveyAnswer.objects.filter(audio__isnull=False).order_by("recipient__number")
        SurveyAnswer.objects.filter(pk=other.pk).update(audio=own.audio, text=own.text)
        erased(account)
        assert Audio.objects.filter(pk=own.audio_id or 0).exists()
        assert SurveyAnswer.objects.filter(pk=other.pk, audio=own.audio_id).exists()

    def test_speech_with_the_name_is_removed_and_that_of_others_stays(self, account: Account) -> None:
        sent_campaign(account, service=Service.CALL)
        recordings = dict(Delivery.objects.values_list("to", "audio__name"))
        erased(account)
        assert not Audio.objects.filter(name=recordings[TO]).exists()
        assert not default_storage.exists(f"audio/{recordings[TO][:2]}/{recordings[TO]}.wav")
        assert Audio.objects.filter(name=recordings[f"+977{OTHER}"]).exists()

    def test_person_in_many_campaigns_is_erased_in_steps(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        count = at_scale(60, 1000)
        monkeypatch.setattr(of_campaigns, "CAMPAIGNS_AT_ONCE", 25)
        made = Campaign.objects.bulk_create(
            Campaign(owner=account, name=f"Meeting {place}", service=Service.SMS, number_count=2)
            for place in range(count)
        )
        Recipient.objects.bulk_create(
            Recipient(campaign=one, number=number, to=f"+977{number}", tags={"tags_name": name})
            for one in made
            for number, name in ((NUMBER, NAME), (OTHER, OTHER_NAME))
        )
        erase(account)
        assert requests.work(budget=0)  # one step
        one = PersonRequest.objects.get()
        assert (one.stage, one.found["recipients"]) == (RequestStage.SCAN, 25)
        work()
        one.refresh_from_db()
        assert (one.stage, one.found["recipients"]) == (RequestStage.DONE, count)
        assert tables_with(NUMBER, NAME) == set()
        assert Recipient.objects.filter(number=OTHER, tags__tags_name=OTHER_NAME).count() == count

    def test_deleted_campaigns_are_erased_too(self, account: Account) -> None:
        campaign = campaign_with_person(account)
        Campaign.objects.filter(pk=campaign.pk).update(deleted_at=timezone.now())
        erased(account)
        assert tables_with(NUMBER, NAME) == set()

    def test_texts_for_a_number_that_the_recipient_had_before_are_erased(self, account: Account) -> None:
        campaign = sent_campaign(account)
        editing.edit_recipient(recipient=campaign.recipients.get(number=OTHER), number="9841000056")
        erased(account, "9841000056")
        assert OTHER_NAME not in "".join(Delivery.objects.values_list("text", flat=True))

    def test_reason_of_a_pause_quotes_no_text_in_the_audit_log(self, account: Account) -> None:
        campaign = campaign_with_person(account)
        run = runs.begin(campaign=campaign, message="Namaste {tags_name}")
        run_statuses.set_aside(run.pk, reason=f"The speech of “Namaste {NAME}” takes too long. Stop it.")
        entry = AuditEntry.objects.get(action="run_paused")
        assert entry.details["reason"] == "The speech of “…” takes too long. Stop it."
        erased(account)
        assert tables_with(NUMBER, NAME) == set()


class TestOptOuts:
    def test_erased_number_stays_opted_out_by_a_keyed_hash(self, account: Account) -> None:
        opt_out(account.pk, TO, "stop")
        erased(account)
        listed = OptOut.objects.get(owner=account)
        assert (listed.number[0], listed.source) == ("#", "")
        assert NUMBER not in listed.number
        campaign = make_campaign(owner=account, numbers=[NUMBER, OTHER], message="Namaste")
        runs.begin(campaign=campaign)
        run_to_the_end()
        ended = dict(Delivery.objects.filter(batch=campaign.runs.get().pk).values_list("to", "cause"))
        assert ended == {TO: "opted_out", f"+977{OTHER}": ""}

    def test_start_ends_the_opt_out_of_an_erased_number(self, account: Account) -> None:
        opt_out(account.pk, TO, "stop")
        erased(account)
        optouts.remove([(account.pk, TO)])
        assert not OptOut.objects.exists()

    def test_erasing_twice_keeps_one_opt_out(self, account: Account) -> None:
        for _ in range(2):
            opt_out(account.pk, TO, "stop")
            erased(account)
        assert OptOut.objects.filter(owner=account).count() == 1

    def test_hash_of_an_older_key_still_counts(self, account: Account, settings: Any) -> None:
        opt_out(account.pk, TO, "stop")
        erased(account)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "x" * 60
        delivery = make_delivery(owner=account, to=TO)
        run_all_loops_once()
        delivery.refresh_from_db()
        assert delivery.cause == "opted_out"

    def test_hashes_of_two_accounts_differ(self, account: Account) -> None:
        other = make_account()
        opt_out(account.pk, TO, "stop")
        opt_out(other.pk, TO, "stop")
        erased(account)
        erased(other)
        assert len(set(OptOut.objects.values_list("number", flat=True))) == 2


class TestBoundaries:
    def test_another_account_keeps_what_it_has(self, account: Account) -> None:
        other = make_account(credits=100)
        sent_campaign(other)
        opt_out(other.pk, TO, "stop")
        sent_campaign(account)
        erased(account)
        assert Recipient.objects.filter(campaign__owner=other, number=NUMBER).count() == 1
        assert Delivery.objects.filter(owner=other, to=TO).exclude(text="").count() == 1
        assert OptOut.objects.filter(owner=other, number=TO).exists()

    def test_an_account_erases_in_its_test_twin_and_not_the_other_way_round(self, account: Account) -> None:
        twin = twins.open_twin(account=account)
        campaign_with_person(twin)
        campaign_with_person(account)
        erased(twin)
        assert set(Recipient.objects.filter(to=TO).values_list("campaign__owner", flat=True)) == {account.pk}
        campaign_with_person(twin)
        erased(account)
        assert not Recipient.objects.filter(to=TO).exists()

    def test_longer_and_shorter_numbers_are_other_numbers(self, account: Account) -> None:
        campaign = make_empty_campaign(owner=account)
        tags = {
            "tags_a": f"1{NUMBER}",
            "tags_b": f"{NUMBER}1",
            "tags_c": NUMBER[:-1],
            "tags_d": f"x{NUMBER}y",
        }
        editing.add_recipients(campaign=campaign, rows=[(OTHER, tags)])
        erased(account)
        assert campaign.recipients.get().tags == {**tags, "tags_d": ""}
