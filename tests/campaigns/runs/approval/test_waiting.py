"""Runs that wait for approval are shown, paused and restored as such, and send nothing."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Account, User
from campaigns import runs, tasks
from campaigns.models import Run, RunStatus
from campaigns.recipients import editing
from campaigns.runs import prerender, restore
from telephony.models import Delivery, DeliveryStatus
from tests import engine
from tests.campaigns.runs.approval.approving import begun_by, demanding, details, in_person, path
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import client_of, make_campaign

pytestmark = pytest.mark.django_db


class TestWaiting:
    def test_a_large_run_waits_with_its_credits_on_hold_and_sends_nothing(
        self, account: Account, author: User
    ) -> None:
        campaign = make_campaign(owner=account)
        answer = client_of(author).post(path(campaign, "begin"), {"message": "Namaste"})
        assert answer.status_code == 200
        run = Run.objects.get()
        assert (run.status, run.authors, run.hold.remaining) == (RunStatus.AWAITING, [author.pk], Decimal(3))
        assert answer.json()["message"] == "Campaign awaits approval by another person"
        assert answer.json()["data"]["approval"]["run"] == run.pk
        engine.run_all_loops_once()
        tasks._tick()
        run.refresh_from_db()
        assert (run.status, Delivery.objects.count(), prerender.due().count()) == (RunStatus.AWAITING, 0, 0)

    def test_a_run_up_to_the_limit_begins_at_once(self, account: Account, author: User) -> None:
        run = begun_by(author, make_campaign(owner=account, numbers=[9841000001, 9841000002]))
        assert (run.status, run.needs_approval, run.approve_until) == (RunStatus.RUNNING, False, None)

    def test_a_rerun_for_few_recipients_of_a_large_campaign_begins_at_once(self, account: Account) -> None:
        campaign = make_campaign(owner=account)
        campaign.recipients.filter(pk=campaign.recipients.earliest("pk").pk).update(
            status=DeliveryStatus.FAILED
        )
        run = runs.begin(campaign=campaign, message="Namaste", statuses=[DeliveryStatus.FAILED])
        assert run.status == RunStatus.RUNNING

    def test_a_large_rerun_by_status_waits(self, account: Account, author: User, approver: User) -> None:
        campaign = make_campaign(owner=account)
        campaign.recipients.update(status=DeliveryStatus.FAILED)
        answer = client_of(author).post(path(campaign, "begin"), {"message": "Again", "status": "failed"})
        assert answer.json()["message"] == "Campaign awaits approval by another person"
        shown = details(client_of(approver), campaign)["approval"]
        assert (shown["recipients"], shown["sends"]["statuses"]) == (3, ["failed"])

    def test_a_trial_never_waits(self, account: Account) -> None:
        demanding(account, above=0)
        campaign = make_campaign(owner=account)
        run = runs.begin(
            campaign=campaign, message="Hi", individual=[campaign.recipients.earliest("pk").pk], trial=True
        )
        assert run.status == RunStatus.RUNNING

    def test_v1_shows_a_waiting_run_as_scheduled_and_says_what_it_waits_for(
        self, account: Account, author: User
    ) -> None:
        campaign = make_campaign(owner=account, message="Namaste", sms_message="Namaste")
        client = client_of(author)
        answer = client.post(f"/api/v1/run-campaign/{campaign.pk}/").json()
        assert answer["message"] == "Campaign awaits approval by another person."
        shown = client.get(f"/api/v1/campaign/{campaign.pk}/").json()
        assert (shown["status"], shown["approval"]["state"]) == ("Scheduled", "awaiting approval")
        assert client.get("/api/v1/dashboard/").json()["campaigns"]["scheduled"] == 1
        listed = client.get("/api/v1/campaign/?status=Scheduled").json()["results"]
        assert [one["approval"] for one in listed] == [{"state": "awaiting approval"}]

    def test_a_survey_waits(self, account: Account, author: User) -> None:
        survey = make_survey(owner=account)
        for number in (9841000007, 9841000008, 9841000009):
            editing.add_recipient(campaign=survey, number=number)
        answer = client_of(author).post(f"/api/v1/run-survey/{survey.pk}/").json()
        assert answer["approval"]["state"] == "awaiting approval"

    def test_v0_shows_a_waiting_run_with_the_documented_word_and_everything_it_would_send(
        self, account: Account, author: User, approver: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign, message="Come at 5")
        shown = details(client_of(approver), campaign)
        assert shown["status"] == "Scheduled"
        assert shown["approval"]["authors"] == [author.email]
        assert (shown["approval"]["run"], shown["approval"]["sends"]["sms_message"]) == (run.pk, "Come at 5")
        for word, count in (("awaiting approval", 1), ("Scheduled", 1), ("Running", 0)):
            listed = client_of(approver).get("/api/system/campaigns/", {"status": word}).json()
            assert len(listed["result"]["campaign-lists"]) == count, word

    def test_recipients_of_a_waiting_run_are_shown_as_not_started_and_cannot_be_edited(
        self, account: Account, author: User
    ) -> None:
        campaign = make_campaign(owner=account)
        begun_by(author, campaign)
        client, first = client_of(author), campaign.recipients.earliest("pk")
        answer = client.get(f"/api/system/campaigns/number/{campaign.pk}")
        listed = json.loads(answer.getvalue())
        assert {one["status"] for one in listed["data"]["number-lists"]} == {"not started"}
        for refused in (
            client.put(f"/api/system/number/{first.pk}/", {"number": 9841000099}),
            client.delete(f"/api/system/campaigns/number/{first.pk}/delete/"),
            client.put(path(campaign, "update"), {"services": "PHONE"}),
            client.post(path(campaign, "begin"), {"message": "Other"}),
            client.post(path(campaign, "pause")),
            client.post(path(campaign, "resume")),
        ):
            assert refused.status_code == 409, refused.content


class TestOtherStates:
    def test_a_paused_run_that_was_approved_resumes_without_another_approval(
        self, account: Account, author: User, approver: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        runs.approve(campaign=campaign, run_id=run.pk, by=in_person(approver))
        runs.pause(campaign=campaign)
        assert runs.resume(campaign=campaign).status == RunStatus.RUNNING

    def test_a_waiting_run_that_was_held_after_a_restore_waits_again(
        self, account: Account, author: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        restore._set_aside_all()
        run.refresh_from_db()
        assert run.status == RunStatus.PAUSED
        answer = client_of(author).post(path(campaign, "resume"))
        assert answer.json()["message"] == "Campaign awaits approval by another person"
        run.refresh_from_db()
        assert run.status == RunStatus.AWAITING

    @pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.SCHEDULED])
    def test_the_database_refuses_to_start_an_unapproved_run(
        self, status: RunStatus, account: Account, author: User
    ) -> None:
        begun_by(author, make_campaign(owner=account))
        with pytest.raises(IntegrityError, match="run_starts_after_approval"), transaction.atomic():
            Run.objects.update(status=status)

    def test_v1_runs_a_waiting_campaign_anew(self, account: Account, author: User, approver: User) -> None:
        campaign = make_campaign(owner=account, message="Namaste", sms_message="Namaste")
        first = begun_by(author, campaign)
        assert client_of(approver).post(f"/api/v1/run-campaign/{campaign.pk}/").status_code == 200
        second = Run.objects.latest("pk")
        assert (second.status, second.authors) == (RunStatus.AWAITING, [approver.pk])
        first.refresh_from_db()
        assert first.status == RunStatus.WITHDRAWN
        runs.approve(campaign=campaign, run_id=second.pk, by=in_person(author))

    def test_a_deleted_approver_leaves_the_run_readable(
        self, account: Account, author: User, approver: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        runs.approve(campaign=campaign, run_id=run.pk, by=in_person(approver))
        approver.delete()
        author.delete()
        shown = details(client_of(account), campaign)["approval"]
        assert (shown["state"], shown["decided_by"], shown["authors"]) == ("approved", None, [])
