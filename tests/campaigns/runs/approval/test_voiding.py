"""Every change of a campaign voids the approval of its run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts import actors
from accounts.ledger import check_ledger
from accounts.models import Account, User
from campaigns import runs, services, tasks
from campaigns.models import Campaign, NotStarted, Run, RunStatus, Service, Source, StepKind
from campaigns.recipients import background_imports, editing
from campaigns.runs import approval
from campaigns.surveys import templates
from campaigns.surveys.steps import StepPlan, set_steps
from iris.errors import Conflict
from telephony.models import DeliveryStatus
from tests.campaigns.runs.approval.approving import begun_by, demanding, in_person
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import make_audio, make_campaign, make_member, make_phone_number

pytestmark = pytest.mark.django_db


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
    "retry": lambda one: services.update_campaign(
        campaign=one, retry={"tries": 2, "on": ["busy"], "delay_seconds": 60}
    ),
    "calling_hours": lambda one: services.update_campaign(
        campaign=one, calling_hours={"calls": [{"from": "09:00", "to": "18:00"}]}
    ),
    "duplicates": lambda one: services.update_campaign(campaign=one, duplicates="once"),
    "frequency_cap": lambda one: services.update_campaign(
        campaign=one, frequency_cap={"contacts": 2, "days": 7}
    ),
    "waves": lambda one: services.update_campaign(campaign=one, waves={"sizes": [1]}),
    "one recipient": lambda one: editing.add_recipient(campaign=one, number=9841000007),
    "many recipients": lambda one: editing.add_recipients(campaign=one, rows=[(9841000007, {})]),
    "sheet": _add_sheet,
    "large sheet": _add_large_sheet,
}
CHANGES_OF_CALLS = {"voice", "speed", "recording", "sms after missed calls", "retry"}
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
        # The version of a template names where the message comes from, and is stored with the message.
        covered = {names.get(change, change) for change in CHANGES} | {"source", "text_version"}
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
