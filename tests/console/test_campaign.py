"""The buttons of a campaign call the verbs of the API, and exist only when they work."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from campaigns import runs
from campaigns.models import AlertRecipient, AlertState, Campaign, Run, RunStatus, Service
from campaigns.runs.rehearsal import rehearse
from telephony.models import OptOut, Trunk
from tests.console.world import World, client_for, record_worker
from tests.factories import make_campaign, make_member, make_run

pytestmark = pytest.mark.django_db


def page_of(client: Client, world: World, campaign: Campaign) -> str:
    return client.get(world.address("campaign", campaign_id=campaign.pk)).content.decode()


def press(client: Client, world: World, name: str, campaign: Campaign, **fields: object) -> str:
    response = client.post(world.address(name, campaign_id=campaign.pk), fields, follow=True)
    return response.content.decode()


def test_a_running_campaign_is_paused_and_resumed(world: World, client: Client) -> None:
    page = page_of(client, world, world.running)
    assert "/pause/" in page
    assert "/resume/" not in page
    page = press(client, world, "campaign-pause", world.running)
    assert "The campaign is paused." in page
    assert "Resume: 2 people are left" in page
    assert "/pause/" not in page
    assert world.running.runs.get().status == RunStatus.PAUSED
    page = press(client, world, "campaign-resume", world.running)
    assert world.running.runs.get().status == RunStatus.RUNNING
    assert "Somebody paused it" not in page


def test_a_second_press_changes_nothing_and_says_so(world: World, client: Client) -> None:
    press(client, world, "campaign-pause", world.running)
    response = client.post(world.address("campaign-pause", campaign_id=world.running.pk))
    assert response.status_code == 409
    assert "cannot be paused" in response.content.decode()


def test_stop_asks_first_and_says_what_happens(world: World, client: Client) -> None:
    question = client.get(world.address("campaign-stop")).content.decode()
    assert "2 people are not contacted any more" in question
    assert "1 call or message is under way" in question
    assert world.running.runs.get().status == RunStatus.RUNNING
    page = press(client, world, "campaign-stop", world.running)
    assert "1 were under way already" in page
    assert world.running.runs.get().status == RunStatus.STOPPING


def test_reading_a_page_stops_nothing(world: World, client: Client) -> None:
    viewer = client_for(make_member(world.account, "viewer"))
    for someone, campaign, status in ((client, world.ended, 302), (viewer, world.running, 403)):
        assert someone.get(world.address("campaign-stop", campaign_id=campaign.pk)).status_code == status
    press(client, world, "campaign-stop", world.running)
    before = world.running.runs.get().finished_at
    assert client.get(world.address("campaign-stop")).status_code == 302
    assert world.running.runs.get().finished_at == before


def test_try_again_is_for_the_chosen_outcomes_with_its_cost(world: World, client: Client) -> None:
    assert "Try again: 4 people were not reached" in page_of(client, world, world.ended)
    before = Account.objects.get(pk=world.account.pk).balance
    question = client.get(world.address("campaign-again") + "?outcome=failed").content.decode()
    assert "Call 1 person" in question
    assert Account.objects.get(pk=world.account.pk).balance == before
    assert world.ended.runs.count() == 1
    press(client, world, "campaign-again", world.ended, outcome=["failed", "hungup"], begin="yes")
    run = world.ended.runs.latest("pk")
    assert (run.statuses, run.recipient_count) == ([101, 103], 2)
    assert Account.objects.get(pk=world.account.pk).balance == before - run.hold.amount


def test_a_viewer_has_no_buttons(world: World) -> None:
    client = client_for(make_member(world.account, "viewer"))
    for campaign in (world.draft, world.running, world.ended):
        page = page_of(client, world, campaign)
        assert 'method="post"' not in page.split('id="content"')[1]
        for name in ("step-what", "step-review", "campaign-stop", "campaign-again", "campaign-delete"):
            assert world.address(name, campaign_id=campaign.pk) not in page


def test_a_person_who_may_only_prepare_cannot_send(world: World) -> None:
    client = client_for(make_member(world.account, "author"))
    page = client.get(world.address("step-review")).content.decode()
    assert "You may prepare campaigns, but not send them." in page
    client.post(world.address("step-review"))
    assert world.draft.runs.count() == 0


def test_only_another_person_approves(world: World, client: Client) -> None:
    Account.objects.filter(pk=world.account.pk).update(approval_above=1)
    client.post(world.address("step-review"))
    run = world.draft.runs.get()
    assert run.status == RunStatus.AWAITING
    assert "/approve/" not in page_of(client, world, world.draft)
    second = client_for(make_member(world.account, "sender"))
    assert "It is for 2 people and costs at most" in page_of(second, world, world.draft)
    press(second, world, "campaign-approve", world.draft, run=run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING


def test_a_rejection_has_its_words_in_the_history(world: World, client: Client) -> None:
    Account.objects.filter(pk=world.account.pk).update(approval_above=1)
    client.post(world.address("step-review"))
    run = world.draft.runs.get()
    page = press(client, world, "campaign-reject", world.draft, run=run.pk, words="The date is wrong")
    assert "The date is wrong" in page
    assert "Did not start" in page


@pytest.mark.parametrize("run", ["", "abc", "9" * 40, "-1"])
def test_an_approval_names_its_run(world: World, client: Client, run: str) -> None:
    Account.objects.filter(pk=world.account.pk).update(approval_above=1)
    client.post(world.address("step-review"))
    for name in ("campaign-approve", "campaign-reject"):
        response = client.post(world.address(name, campaign_id=world.draft.pk), {"run": run})
        assert response.status_code == 404
    assert world.draft.runs.get().status == RunStatus.AWAITING


def test_the_live_part_polls_until_the_campaign_has_ended(world: World, client: Client) -> None:
    assert "every 2s" in page_of(client, world, world.running)
    part = client.get(world.address("campaign-live"), HTTP_HX_REQUEST="true").content.decode()
    assert "every 2s" in part
    assert "<html" not in part
    assert "every 2s" not in page_of(client, world, world.ended)
    assert client.get(world.address("home")).content.decode().count("every 2s") == 1


def test_a_live_part_of_a_person_who_was_signed_out_loads_the_page_again(world: World) -> None:
    response = Client().get(world.address("campaign-live"), HTTP_HX_REQUEST="true")
    assert response.headers["HX-Refresh"] == "true"


def test_a_deleted_campaign_disappears(world: World, client: Client) -> None:
    assert "Delete this campaign?" in client.get(world.address("campaign-delete")).content.decode()
    assert client.get(world.address("campaign")).status_code == 200
    press(client, world, "campaign-delete", world.ended)
    assert client.get(world.address("campaign", campaign_id=world.ended.pk)).status_code == 404
    page = press(client, world, "campaign-delete", world.running)
    assert "cannot be deleted now" in page


def test_the_page_says_why_nothing_moves(world: World, client: Client) -> None:
    Trunk.objects.filter(alias="sandbox").update(pause_reason="403 Forbidden", paused_until=None)
    page = page_of(client, world, world.running)
    assert "does not work. Tell its operator" in page
    record_worker()
    run = world.running.runs.get()
    run.failing_since = timezone.now()
    run.save()
    page = page_of(client, world, world.running)
    assert "does not work. Tell its operator" not in page
    assert "cannot prepare the next ones" in page


def test_a_person_s_page_says_why_nothing_is_sent(world: World, client: Client) -> None:
    last = world.running.recipients.latest("pk")
    OptOut.objects.create(owner=world.account, number=last.to)
    runs.pause(campaign=world.running)
    page = client.get(
        world.address("recipient", campaign_id=world.running.pk, recipient_id=last.pk)
    ).content.decode()
    assert "This number is on your opt-out list, so nothing is sent to it." in page
    assert "This person does not want messages from you" not in page  # which would say the same
    assert "Somebody paused it." in page


def waiting_for_a_wave(world: World, **waves: object) -> Run:
    """Let the running campaign wait before its second wave."""
    run = world.running.runs.get()
    run.rules = {"waves": {"sizes": [1, 5], **waves}}
    run.wave_room, run.waits_since = 0, timezone.now()
    run.save()
    return run


def test_the_next_wave_is_sent_by_a_button_that_counts_its_people(world: World, client: Client) -> None:
    assert "Send the next wave" not in page_of(client, world, world.running)
    run = waiting_for_a_wave(world)
    page = page_of(client, world, world.running)
    assert "Wave 1 is complete." in page
    assert "Waits for its next wave" in page
    assert "Waits for its next wave" in client.get(world.address("campaigns")).content.decode()
    assert "Send the next wave: 2 people" in page  # the others of the campaign are fewer than five
    for preset in ("viewer", "author"):
        member = client_for(make_member(world.account, preset))
        assert "Send the next wave" not in page_of(member, world, world.running)
    assert "Wave 2 begins." in press(client, world, "campaign-next-wave", world.running)
    run.refresh_from_db()
    assert (run.wave, run.wave_room) == (2, 5)
    response = client.post(world.address("campaign-next-wave", campaign_id=world.running.pk))
    assert response.status_code == 409


def test_a_wave_that_waits_for_results_says_so(world: World, client: Client) -> None:
    run = waiting_for_a_wave(world, success_percent=80)
    Run.objects.filter(pk=run.pk).update(waits_since=None)
    assert "begins when 80% of it were reached" in page_of(client, world, world.running)


def test_the_people_of_an_alert_are_listed_by_whether_they_have_heard(world: World, client: Client) -> None:
    run = world.running.runs.get()
    run.rules = {
        "urgent": {
            "reason": "Flood",
            "past_opt_outs": False,
            "heard": {"sms": False, "household": "tags_ward"},
        }
    }
    run.save()
    first, second, _ = world.running.recipients.order_by("pk")
    for recipient, state in ((first, AlertState.HEARD), (second, AlertState.NOT_HEARD)):
        AlertRecipient.objects.create(
            run=run, recipient=recipient, household=1, state=state,
            heard_at=timezone.now() if state == AlertState.HEARD else None,
        )  # fmt: skip
    page = page_of(client, world, world.running)
    assert "Who has heard it" in page
    address = world.address("heard", campaign_id=world.running.pk)
    page = client.get(address).content.decode()
    for part in ("Has heard it: 1", "Has not heard it: 1", "Waits: 1", first.number, second.number):
        assert part in page
    page = client.get(f"{address}?state=not_heard").content.decode()
    assert second.number in page
    assert first.number not in page
    for odd in ("state=moon", "after=abc", f"after={9**30}", f"after={second.pk}"):
        assert client.get(f"{address}?{odd}").status_code == 200
    assert "never asked" in client.get(world.address("heard", campaign_id=world.ended.pk)).content.decode()


def test_a_scheduled_campaign_says_when_it_starts_in_both_calendars(world: World, client: Client) -> None:
    campaign = make_campaign(owner=world.account, name="Later", message="Namaste")
    at = timezone.now() + timedelta(days=2)
    make_run(campaign=campaign, status=RunStatus.SCHEDULED, starts_at=at, held=5)
    page = page_of(client, world, campaign)
    assert "It starts by itself at its time" in page
    assert f"{timezone.localtime(at):%H:%M}" in page
    assert "208" in page


def test_a_rehearsal_changes_nothing(world: World) -> None:
    account = Account.objects.get(pk=world.account.pk)
    before = (account.balance, account.credit_holds.count(), Campaign.objects.get(pk=world.draft.pk).draft)
    found = rehearse(campaign=world.draft)
    assert found.recipients == 2
    assert found.hold > Decimal(0)
    account.refresh_from_db()
    assert before == (
        account.balance,
        account.credit_holds.count(),
        Campaign.objects.get(pk=world.draft.pk).draft,
    )
    assert world.draft.runs.count() == 0
    assert found.hold == (found.call_limit + found.sms_limit) * 2


def test_what_the_review_shows_is_what_the_run_holds(world: World, client: Client) -> None:
    found = rehearse(campaign=world.draft)
    page = client.get(world.address("step-review")).content.decode()
    assert f"Credits: at most {found.hold:,.0f}" in page
    assert "Call and text 2 people" in page
    client.post(world.address("step-review"))
    assert world.draft.runs.get().hold.amount == found.hold


def test_an_account_without_enough_credits_sees_it_before_it_sends(world: World) -> None:
    campaign = make_campaign(owner=world.account, service=Service.SMS, message="Namaste", draft=True)
    Account.objects.filter(pk=world.account.pk).update(balance=1)
    for language, sentence in (("en", "there are only 1"), ("ne", "क्रेडिट पुग्दैन")):
        client = client_for(world.owner, language=language)
        page = client.get(world.address("step-review", campaign_id=campaign.pk)).content.decode()
        assert sentence in page
        assert "Send 3 text messages" not in page
    response = client_for(world.owner).post(world.address("step-review", campaign_id=campaign.pk))
    assert response.status_code == 402
