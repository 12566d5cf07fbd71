"""Large runs wait until a second person approves them, and no longer than the account allows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry, User
from campaigns import runs, services, tasks
from campaigns.models import Campaign, Run, RunStatus
from campaigns.runs import approval, run_statuses
from telephony.models import Delivery
from tests import engine
from tests.campaigns.runs.approval.approving import begun_by, demanding, details, key_client, path
from tests.factories import client_of, make_account, make_campaign, make_member, owner_of

pytestmark = pytest.mark.django_db


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
        assert run_statuses.start_due() == 0
        Run.objects.update(starts_at=timezone.now())
        assert run_statuses.start_due() == 1

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
