"""Large runs wait until a second person approves them, and every change of the campaign voids the approval."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import actors, apikeys
from accounts.actors import Acting, ActorKind
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry, User
from accounts.permissions import KEY_SCOPES
from campaigns import runs, services, tasks
from campaigns.models import Campaign, NotStarted, Run, RunStatus, Service, Source, StepKind
from campaigns.recipients import background_imports, editing
from campaigns.runs import approval, lifecycle, prerender, restore
from campaigns.surveys import templates
from campaigns.surveys.steps import StepPlan, set_steps
from iris.errors import Conflict
from telephony.models import Delivery, DeliveryStatus
from tests import engine
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import (
    client_of,
    make_account,
    make_audio,
    make_campaign,
    make_member,
    make_phone_number,
    owner_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return demanding(make_account(email="owner@example.com", credits=1000), above=2)


def demanding(account: Account, *, above: int | None) -> Account:
    account.approval_above = above
    account.save(update_fields=["approval_above"])
    return account


@pytest.fixture
def author(account: Account) -> User:
    return make_member(account, "sender", first_name="Sita", last_name="Rai")


@pytest.fixture
def approver(account: Account) -> User:
    return make_member(account, "sender", first_name="Hari")


def in_person(user: User) -> Acting:
    return Acting(kind=ActorKind.PERSON, user_id=user.pk, name=user.email, email=user.email)


def begun_by(user: User, campaign: Campaign, **options: Any) -> Run:
    with actors.acting(in_person(user)):
        return runs.begin(campaign=campaign, **{"message": "Namaste", **options})


def path(campaign: Campaign, action: str) -> str:
    return f"/api/system/campaigns/{campaign.pk}/{action}/"


def details(client: APIClient, campaign: Campaign) -> dict[str, Any]:
    answer = client.get(path(campaign, "details")).json()
    return answer["data"]["details"][0]


def key_client(account: Account) -> APIClient:
    _, key = apikeys.create(account=account, created_by=None, name="website", scopes=frozenset(KEY_SCOPES))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


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


class TestApproving:
    def approve(self, user: User, campaign: Campaign, run: Run | int) -> Any:
        run_id = run if isinstance(run, int) else run.pk
        return client_of(user).post(path(campaign, "approve"), {"run": run_id})

    def test_an_approved_run_is_sent_to_the_end(self, account: Account, author: User, approver: User) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        answer = self.approve(approver, campaign, run)
        assert (answer.status_code, answer.json()["message"]) == (200, "Campaign is running")
        run.refresh_from_db()
        assert (run.status, run.decided_by) == (RunStatus.RUNNING, approver)
        engine.run_to_the_end()
        run.refresh_from_db()
        assert run.status == RunStatus.COMPLETED
        assert Delivery.objects.count() == 3
        assert details(client_of(author), campaign)["approval"]["state"] == "approved"
        assert check_ledger().differences == ()

    def test_an_approved_scheduled_run_starts_at_its_time(
        self, account: Account, author: User, approver: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign, starts_at=timezone.now() + timedelta(hours=1))
        assert run.approve_until == run.starts_at
        answer = self.approve(approver, campaign, run)
        assert answer.json()["message"].startswith("Campaign is scheduled for")
        assert lifecycle.begin_due() == 0
        Run.objects.update(starts_at=timezone.now())
        assert lifecycle.begin_due() == 1

    def test_the_author_cannot_approve(self, account: Account, author: User) -> None:
        campaign = make_campaign(owner=account)
        answer = self.approve(author, campaign, begun_by(author, campaign))
        assert answer.status_code == 403
        assert "You began this run" in answer.json()["message"]
        assert Run.objects.get().status == RunStatus.AWAITING

    def test_not_even_an_owner_approves_their_own_run(self, account: Account) -> None:
        campaign, owner = make_campaign(owner=account), owner_of(account)
        assert self.approve(owner, campaign, begun_by(owner, campaign)).status_code == 403

    def test_an_api_key_cannot_approve_or_reject(self, account: Account, author: User) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        for action in ("approve", "reject"):
            answer = key_client(account).post(path(campaign, action), {"run": run.pk})
            assert answer.status_code == 403
            assert "not API keys" in answer.json()["message"]
        assert Run.objects.get().status == RunStatus.AWAITING

    def test_a_run_of_an_api_key_may_be_approved_by_any_person_with_send(
        self, account: Account, author: User
    ) -> None:
        campaign = make_campaign(owner=account)
        begun = key_client(account).post(path(campaign, "begin"), {"message": "Namaste"}).json()
        assert Run.objects.get().authors == []
        assert self.approve(author, campaign, begun["data"]["approval"]["run"]).status_code == 200

    def test_approving_needs_send(self, account: Account, author: User) -> None:
        campaign = make_campaign(owner=account)
        answer = self.approve(make_member(account, "author"), campaign, begun_by(author, campaign))
        assert answer.status_code == 403
        assert "“send”" in answer.json()["message"]

    def test_what_does_not_wait_is_a_409(self, account: Account, approver: User) -> None:
        campaign = make_campaign(owner=account)
        assert self.approve(approver, campaign, 1).status_code == 409
        demanding(account, above=None)
        run = runs.begin(campaign=campaign, message="Namaste")
        answer = self.approve(approver, campaign, run)
        assert answer.status_code == 409
        assert answer.json()["message"] == "No run of this campaign awaits approval."

    def test_an_approval_names_the_run(self, account: Account, author: User, approver: User) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        client = client_of(approver)
        for body in ({}, {"run": "x"}, {"run": -1}, {"run": True}, {"run": None}, {"other": run.pk}):
            assert client.post(path(campaign, "approve"), body, format="json").status_code == 400, body
        assert self.approve(approver, campaign, run.pk + 1).status_code == 409
        assert client.post(path(campaign, "approve"), {"run": str(run.pk)}).status_code == 200

    def test_a_second_approval_is_a_409(self, account: Account, author: User, approver: User) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        assert self.approve(approver, campaign, run).status_code == 200
        assert self.approve(approver, campaign, run).status_code == 409

    def test_a_rejected_run_does_not_start_and_returns_its_credits_once(
        self, account: Account, author: User, approver: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        client = client_of(approver)
        rejected = client.post(path(campaign, "reject"), {"run": run.pk, "reason": "Wrong date"})
        assert rejected.status_code == 200
        assert client.post(path(campaign, "reject"), {"run": run.pk}).status_code == 409
        shown = details(client_of(author), campaign)
        assert (shown["status"], shown["approval"]["state"]) == ("Not Started", "rejected")
        assert shown["approval"]["reason"] == "Hari rejected this run: Wrong date"
        account.refresh_from_db()
        assert account.balance == 1000
        assert CreditEntry.objects.filter(kind="release").count() == 1
        assert begun_by(author, campaign).status == RunStatus.AWAITING

    def test_stop_ends_a_waiting_run(self, account: Account, author: User, approver: User) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        answer = client_of(make_member(account, "author")).post(path(campaign, "stop"))
        assert answer.json()["data"] == {"in_flight": 0, "ids": []}
        shown = details(client_of(author), campaign)
        assert (shown["status"], shown["approval"]["state"]) == ("Terminated", "stopped")
        assert self.approve(approver, campaign, run).status_code == 409
        account.refresh_from_db()
        assert account.balance == 1000

    def test_deleting_the_campaign_ends_a_waiting_run(
        self, account: Account, author: User, approver: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        services.delete_campaign(campaign=campaign)
        assert self.approve(approver, campaign, run).status_code == 404
        account.refresh_from_db()
        assert account.balance == 1000

    def test_another_accounts_run_is_a_404(self, account: Account, author: User) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        stranger = owner_of(make_account())
        for action in ("approve", "reject"):
            assert client_of(stranger).post(path(campaign, action), {"run": run.pk}).status_code == 404


class TestExpiry:
    def test_a_run_that_nobody_approves_in_time_does_not_start(
        self, account: Account, author: User, approver: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        assert run.approve_until is not None
        assert run.approve_until - run.created_at > timedelta(hours=71, minutes=59)
        assert approval.expire_all() == 0
        Run.objects.update(approve_until=timezone.now())
        answer = client_of(approver).post(path(campaign, "approve"), {"run": run.pk})
        assert (answer.status_code, "is over" in answer.json()["message"]) == (409, True)
        tasks._tick()
        assert approval.expire_all() == 0
        shown = details(client_of(author), campaign)
        assert (shown["status"], shown["approval"]["state"]) == ("Not Started", "expired")
        assert shown["approval"]["reason"].startswith("Nobody approved this run before")
        account.refresh_from_db()
        assert account.balance == 1000
        assert check_ledger().differences == ()

    def test_a_scheduled_run_expires_at_its_start_time(self, account: Account, author: User) -> None:
        campaign = make_campaign(owner=account)
        begun_by(author, campaign, starts_at=timezone.now() + timedelta(minutes=10))
        past = timezone.now() - timedelta(seconds=1)
        Run.objects.update(starts_at=past, approve_until=past)
        tasks._tick()
        assert Run.objects.get().status == RunStatus.WITHDRAWN

    def test_the_account_sets_the_hours(self, account: Account, author: User) -> None:
        account.approval_hours = 1
        account.save(update_fields=["approval_hours"])
        run = begun_by(author, make_campaign(owner=account))
        assert run.approve_until is not None
        assert run.approve_until < timezone.now() + timedelta(hours=1, minutes=1)


def _add_sheet(campaign: Campaign) -> None:
    editing.import_sheet(campaign=campaign, file=BytesIO(b"number\n9841000007\n9841000008\n"))


def _add_large_sheet(campaign: Campaign) -> None:
    with override_settings(IRIS_BACKGROUND_IMPORT_BYTES=1):
        _add_sheet(campaign)
    with actors.acting(actors.SERVER):  # a worker imports it
        background_imports.import_all()


CHANGES: dict[str, Callable[[Campaign], object]] = {
    "message": lambda one: services.update_campaign(campaign=one, message="Other words"),
    "sms_message": lambda one: services.update_campaign(campaign=one, sms_message="Other words"),
    "voice": lambda one: services.update_campaign(campaign=one, voice="np_prasanna"),
    "speed": lambda one: services.update_campaign(campaign=one, speed=Decimal("1.5")),
    "recording": lambda one: services.update_campaign(campaign=one, audio=make_audio(), source=Source.AUDIO),
    "sms after missed calls": lambda one: services.update_campaign(
        campaign=one, failover_statuses=[DeliveryStatus.UNANSWERED]
    ),
    "credit limit": lambda one: services.update_campaign(campaign=one, spending_limit=Decimal(50)),
    "caller": lambda one: services.update_campaign(
        campaign=one, caller_ids=[make_phone_number(owner=one.owner).pk]
    ),
    "start time": lambda one: services.update_campaign(
        campaign=one, schedule_at=timezone.now() + timedelta(hours=5)
    ),
    "one recipient": lambda one: editing.add_recipient(campaign=one, number=9841000007),
    "many recipients": lambda one: editing.add_recipients(campaign=one, rows=[(9841000007, {})]),
    "sheet": _add_sheet,
    "large sheet": _add_large_sheet,
}
CHANGES_OF_CALLS = {"voice", "speed", "recording", "sms after missed calls"}
SURVEY_CHANGES: dict[str, Callable[[Campaign], object]] = {
    "steps": lambda one: set_steps(campaign=one, steps=[StepPlan(order=0, kind=StepKind.SAY, text="New?")]),
    "template": lambda one: templates.apply(
        campaign=one,
        template=templates.create_template(
            account=one.owner,
            name="Other",
            voice="",
            steps=[StepPlan(order=0, kind=StepKind.SAY, text="Other?")],
        ),
    ),
}


class TestVoiding:
    # An approved run without a start time runs at once, and a running run is never changed.
    @pytest.mark.parametrize(
        ("later", "approved"),
        [(False, False), (True, False), (True, True)],
        ids=["waiting", "scheduled and waiting", "scheduled and approved"],
    )
    @pytest.mark.parametrize("change", CHANGES)
    def test_every_change_voids_the_approval(
        self, change: str, later: bool, approved: bool, account: Account, author: User, approver: User
    ) -> None:
        service = Service.CALL if change in CHANGES_OF_CALLS else Service.SMS
        campaign = make_campaign(owner=account, service=service)
        starts_at = timezone.now() + timedelta(hours=3) if later else None
        seen = begun_by(author, campaign, starts_at=starts_at)
        if approved:
            runs.approve(campaign=campaign, run_id=seen.pk, by=in_person(approver))
        changer = make_member(account, "sender")
        campaign.refresh_from_db()
        with actors.acting(in_person(changer)):
            CHANGES[change](campaign)
        seen.refresh_from_db()
        assert (seen.status, seen.not_started) == (RunStatus.WITHDRAWN, NotStarted.REPLACED)
        now = Run.objects.latest("pk")
        assert (now.status, now.approved_at) == (RunStatus.AWAITING, None)
        assert now.authors == sorted([author.pk, changer.pk])
        with pytest.raises(Conflict, match="was changed or begun again"):
            runs.approve(campaign=campaign, run_id=seen.pk, by=in_person(approver))
        for person in (author, changer):
            with pytest.raises(approval.OwnRun):
                runs.approve(campaign=campaign, run_id=now.pk, by=in_person(person))
        runs.approve(campaign=campaign, run_id=now.pk, by=in_person(approver))
        assert check_ledger().differences == ()

    @pytest.mark.parametrize("change", SURVEY_CHANGES)
    def test_every_change_of_a_survey_voids_the_approval(
        self, change: str, account: Account, author: User
    ) -> None:
        survey = make_survey(owner=account)
        for number in (9841000007, 9841000008, 9841000009):
            editing.add_recipient(campaign=survey, number=number)
        seen = begun_by(author, survey, message=None)
        assert seen.status == RunStatus.AWAITING
        SURVEY_CHANGES[change](survey)
        seen.refresh_from_db()
        assert seen.status == RunStatus.WITHDRAWN
        assert Run.objects.latest("pk").status == RunStatus.AWAITING

    def test_every_field_of_a_campaign_that_a_run_freezes_is_among_the_changes(self) -> None:
        names = {"sms after missed calls": "failover_statuses", "recording": "audio", "caller": "caller_ids"}
        names |= {"credit limit": "spending_limit", "start time": "schedule_at"}
        covered = {names.get(change, change) for change in CHANGES} | {"source"}
        assert set(services.CampaignFields.__annotations__) - covered == {"draft"}

    def test_a_renamed_campaign_keeps_its_approval(
        self, account: Account, author: User, approver: User
    ) -> None:
        campaign = make_campaign(owner=account)
        run = begun_by(author, campaign)
        services.update_campaign(campaign=campaign, name="Renamed", description="Other")
        runs.approve(campaign=campaign, run_id=run.pk, by=in_person(approver))

    def test_recipients_added_beyond_the_limit_make_a_scheduled_run_wait(
        self, account: Account, author: User
    ) -> None:
        campaign = make_campaign(owner=account, numbers=[9841000001, 9841000002])
        run = begun_by(author, campaign, starts_at=timezone.now() + timedelta(hours=1))
        assert run.status == RunStatus.SCHEDULED
        editing.add_recipient(campaign=campaign, number=9841000003)
        assert Run.objects.latest("pk").status == RunStatus.AWAITING

    def test_a_waiting_run_still_waits_after_the_setting_was_switched_off(
        self, account: Account, author: User
    ) -> None:
        campaign = make_campaign(owner=account)
        begun_by(author, campaign)
        demanding(account, above=None)
        tasks._tick()
        assert Run.objects.get().status == RunStatus.AWAITING
        services.update_campaign(campaign=campaign, message="Other words")
        assert Run.objects.latest("pk").status == RunStatus.AWAITING

    def test_a_removed_start_time_withdraws_a_waiting_run(self, account: Account, author: User) -> None:
        campaign = make_campaign(owner=account)
        begun_by(author, campaign, starts_at=timezone.now() + timedelta(hours=3))
        services.update_campaign(campaign=campaign, schedule_at=None)
        assert Run.objects.get().status == RunStatus.WITHDRAWN

    def test_a_change_that_costs_more_than_the_balance_leaves_the_waiting_run_as_it_was(
        self, author: User, approver: User, account: Account
    ) -> None:
        campaign = make_campaign(owner=account, service=Service.CALL)
        run = begun_by(author, campaign)
        Account.objects.filter(pk=account.pk).update(balance=0)
        with pytest.raises(Exception, match="credits"):
            services.update_campaign(campaign=campaign, message="And so on. " * 400)
        runs.approve(campaign=campaign, run_id=run.pk, by=in_person(approver))


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
