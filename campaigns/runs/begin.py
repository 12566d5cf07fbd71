"""Begin a campaign: check it, compute its price, hold the credits and insert the run."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Unpack

from django.conf import settings
from django.core.files import File
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from accounts import credits
from accounts.models import CreditHold
from campaigns.guards import refuse_while_importing
from campaigns.models import PENDING, Campaign, Recipient, Run, RunStatus, Service, Source
from campaigns.runs import approval, run_statuses, survey_calls, waves
from campaigns.runs.cost import cost_limits
from campaigns.runs.intake import contacts_among
from campaigns.runs.message_choice import choose_source, choose_texts
from campaigns.runs.quote import Quote
from campaigns.runs.rules import ContactRules, SentRules, chosen_rules, read_rules
from campaigns.runs.sender_check import refuse_without_sender
from campaigns.runs.stop import withdraw
from campaigns.runs.urgent import UrgentRule, check_urgent
from iris.errors import Conflict, InvalidInput, NotFound
from telephony import speech
from telephony.caller_id import choose_caller
from telephony.engine.contacts import last_delivery
from telephony.engine.nudge import nudge
from telephony.engine.routing import check_route
from telephony.models import Audio, Channel, DeliveryStatus, PhoneNumber
from telephony.pricing import paid_seconds
from telephony.speech import audio as recordings
from telephony.tariffs import current_prices


def begin(
    *,
    campaign: Campaign,
    message: str | None = None,
    sms_message: str | None = None,
    recording: File[bytes] | None = None,
    voice: str | None = None,
    starts_at: datetime | None = None,
    statuses: Collection[DeliveryStatus] | None = None,
    individual: Collection[int] | None = None,
    source: Source | None = None,
    trial: bool = False,
    replaces_pending: bool = False,
    changed: Run | None = None,
    urgent: UrgentRule | None = None,
    **rules: Unpack[SentRules],
) -> Run:
    """Begin a campaign now or at `starts_at`, and return its run.

    The run is for all recipients, for those whose status is in `statuses`, or for those whose ids are in `individual`.
    Arguments that are not given are taken from the campaign. A new `message` is used for calls and for SMS, unless a new
    `sms_message` is given. A `trial` changes neither the campaign nor the status of its recipients. With
    `replaces_pending`, the new run replaces one that has not started. If the campaign was changed, the caller passes the
    replaced run as `changed`. The new run then keeps its authors, and needs approval if the replaced run needed it.

    An `urgent` run goes before all others and outside of calling hours (`urgent`). The next run is an ordinary one again.

    `rules` are stored with the campaign, too (`rules`). A trial has none: it calls somebody who waits for it.

    If the account demands approval of runs of this size, the run waits for approval (`approval`). The person who acts
    becomes an author of the run.

    Everything happens in one transaction. `run.hold.amount` is the hold, by the prices that the run freezes. Raises
    InvalidInput, Conflict if a run is live or the campaign's number was withdrawn, NoSender, InsufficientCredits, and
    Unavailable if no carrier serves the calls or SMS. Nothing has changed after an error.
    """
    if starts_at is not None and starts_at < timezone.now() - timedelta(minutes=1):
        raise InvalidInput(
            f"The schedule date {timezone.localtime(starts_at):%Y-%m-%d %H:%M} is in the past. Choose a later time, or"
            " omit it to begin at once.",
            code="schedule_in_past",
        )
    if recording is not None and not Service(campaign.service).calls:
        raise InvalidInput(
            "Only a PHONE campaign can play audio. Send a message for an SMS campaign.",
            code="audio_without_calls",
        )
    uploaded = recordings.store_upload(recording) if recording is not None else None
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        if campaign.deleted_at is not None:
            raise NotFound("This campaign has been deleted.", code="campaign_deleted")
        campaign.rules = campaign.rules | read_rules(rules, service=Service(campaign.service))
        if urgent is not None:
            check_urgent(urgent, campaign, sent=rules)
        _refuse_live_run(campaign, except_pending=replaces_pending)
        refuse_while_importing(campaign)
        # Read the account and its prices once, because the operator may change them while the speech for the quote is
        # synthesized.
        account = campaign.owner
        prices = current_prices(account)
        voice = speech.resolve(
            voice or campaign.voice or account.default_voice or None, language=account.language
        )
        audio = uploaded or campaign.audio
        text, sms_text = choose_texts(campaign, message=message, sms_message=sms_message)
        source = choose_source(
            campaign,
            message=message,
            recording=recording,
            text=text if Service(campaign.service).calls else sms_text,
            audio=audio,
            source=source,
        )
        _check_routes(campaign, urgent)
        announces = account.announce_recording and survey_calls.records(campaign)
        recipients, count, last = _choose_recipients(campaign, statuses=statuses, individual=individual)
        quote = Quote(
            campaign,
            source=source,
            text=text,
            sms_text=sms_text,
            voice=voice,
            audio=audio,
            is_joined=count > settings.IRIS_WHOLE_SENTENCES,
            last_recipient=last,
            announces_recording=announces,
            offers_opt_out=account.opt_out_key,
            heard=None if urgent is None else urgent.heard,
        )
        frozen = {} if trial else chosen_rules(campaign, urgent=urgent)
        contact_rules = ContactRules(frozen)
        contacts, contact_count = contacts_among(recipients, count, campaign=campaign, rules=contact_rules)
        limits = cost_limits(
            quote, prices, contacts, count=contact_count, paid_tries=contact_rules.paid_tries
        )
        if quote.most_segments is not None:
            refuse_without_sender(account, contacts)
        if replaces_pending:
            # This releases a hold and so locks the account. Therefore it comes after the slow speech synthesis in Quote.
            withdraw(campaign=campaign)
            _refuse_live_run(campaign)  # the run may have started in the meantime
        held = _hold_credits(campaign, limits.run, at_least=limits.recipient)
        if last > campaign.measured_to and campaign.measured:
            # A process of the previous release has added recipients without measuring them (`measuring`).
            campaign.measured = False
            campaign.save(update_fields=["measured"])
        if not trial:
            _store_on_campaign(
                campaign, message=message, sms_message=sms_message, voice=voice, audio=audio, at=starts_at
            )
        now = timezone.now()
        starts_later = starts_at is not None and starts_at > now
        rule = approval.rule_of(campaign.owner)
        needs_approval = not trial and approval.is_needed(rule, count, changed=changed)
        run = Run.objects.create(
            campaign=campaign,
            status=approval.first_status(needs_approval=needs_approval, starts_later=starts_later),
            source=source,
            message=quote.text,
            sms_message=quote.sms_text,
            voice=voice,
            speed=campaign.speed,
            audio=audio if source is Source.AUDIO else None,
            failover_statuses=campaign.failover_statuses if quote.service.calls else [],
            statuses=None if statuses is None else sorted({int(status) for status in statuses}),
            individual=None if individual is None else sorted(set(individual)),
            trial=trial,
            last_recipient=last,
            recipient_count=count,
            hold=held,
            prices_id=prices.pk,
            longest_call=quote.longest_call,
            most_segments=quote.most_segments,
            cost_limit=limits.run,
            call_limit=limits.call,
            # Processes of the previous release know no frozen prices, and compare the length of calls with this value.
            call_seconds=None if quote.longest_call is None else paid_seconds(quote.longest_call),
            sms_limit=limits.sms,
            caller=_choose_caller(campaign),
            announces_recording=announces,
            offers_opt_out=account.opt_out_key and quote.service.calls,
            rules=frozen,
            wave_room=waves.room_at_first(contact_rules),
            after_delivery=last_delivery(),
            starts_at=starts_at or now,
            needs_approval=needs_approval,
            authors=approval.authors_of(changed),
            approve_until=approval.deadline(rule, now=now, starts_at=starts_at if starts_later else None)
            if needs_approval
            else None,
        )
        nudge("campaigns.tasks.fill")
    return run


def _check_routes(campaign: Campaign, urgent: UrgentRule | None) -> None:
    service, for_twin = Service(campaign.service), campaign.owner.is_twin
    texts_unheard = urgent is not None and urgent.heard is not None and urgent.heard.sms
    if service.calls:
        check_route(Channel.CALL, for_twin=for_twin)
    if service.texts or texts_unheard or (service.calls and campaign.failover_statuses):
        check_route(Channel.SMS, for_twin=for_twin)


def _store_on_campaign(
    campaign: Campaign,
    *,
    message: str | None,
    sms_message: str | None,
    voice: str,
    audio: Audio | None,
    at: datetime | None,
) -> None:
    """Store the arguments of this run in the campaign, as the defaults for the next run."""
    if message is not None:
        campaign.message = message
    if message is not None or sms_message is not None:
        campaign.sms_message = sms_message or ""
    if at is not None:
        campaign.schedule_at = at
    campaign.voice, campaign.audio, campaign.draft = voice, audio, False
    campaign.save(
        update_fields=[
            "message",
            "sms_message",
            "voice",
            "audio",
            "draft",
            "schedule_at",
            "rules",
            "updated_at",
        ]
    )


def _refuse_live_run(campaign: Campaign, *, except_pending: bool = False) -> None:
    run = run_statuses.live_run(campaign.pk)
    if run is None or (except_pending and run.status in PENDING):
        return
    state = {
        RunStatus.AWAITING: "awaits approval",
        RunStatus.SCHEDULED: f"is scheduled for {timezone.localtime(run.starts_at):%Y-%m-%d %H:%M}",
        RunStatus.RUNNING: "is running",
        RunStatus.PAUSED: "is paused",
        RunStatus.STOPPING: "is being stopped",
    }[RunStatus(run.status)]
    if run.trial:
        state = "is being tried out"
    raise Conflict(
        f"This campaign {state}. Wait until it has completed, or stop it first.", code="campaign_live"
    )


def _choose_recipients(
    campaign: Campaign, *, statuses: Collection[DeliveryStatus] | None, individual: Collection[int] | None
) -> tuple[QuerySet[Recipient], int, int]:
    """Return the recipients of the run, their number, and the id of the campaign's last recipient.

    Raises InvalidInput if the run would have no recipients, or for ids that are not in the campaign.
    """
    rows = Recipient.objects.filter(campaign=campaign)
    last = rows.aggregate(last=Max("pk"))["last"]
    if last is None:
        raise InvalidInput("This campaign has no numbers. Add some before you begin it.", code="no_numbers")
    if individual is not None:
        wanted = set(individual)
        known = set(rows.filter(pk__in=wanted).values_list("pk", flat=True))
        missing = sorted(wanted - known)
        if missing:
            raise InvalidInput(
                f"This campaign has no numbers with these ids: {', '.join(map(str, missing[:10]))}. The list of its"
                " numbers shows their ids.",
                code="unknown_individual",
            )
        rows = rows.filter(pk__in=wanted)
    if statuses is not None:
        rows = rows.filter(status__in=[int(status) for status in statuses])
    everyone = statuses is None and individual is None
    count = campaign.number_count if everyone else rows.count()
    if not count:
        raise InvalidInput(
            "No number of this campaign has one of these statuses, so there is nobody to call or text.",
            code="nobody_has_status",
        )
    return rows, count, last


def _hold_credits(campaign: Campaign, amount: Decimal, *, at_least: Decimal) -> CreditHold:
    """Hold the upper bound of the run's cost, but at most the campaign's spending limit.

    `at_least` is the maximum cost of the most expensive recipient. Raises InvalidInput if the spending limit is below it.
    """
    if campaign.spending_limit is not None:
        amount = min(amount, campaign.spending_limit)
        if amount < at_least:
            raise InvalidInput(
                f"The credit limit of {campaign.spending_limit:f} is too low for one number, which can cost up to"
                f" {at_least:f}. Raise the limit or remove it.",
                code="credit_limit_too_low",
            )
    number = campaign.runs.count() + 1
    return credits.hold(account=campaign.owner, amount=amount, cause=f"campaign:{campaign.pk}:run:{number}")


def _choose_caller(campaign: Campaign) -> str:
    """Return the caller id: the first of the campaign's numbers that its owner still has, otherwise one of the owner's.

    Of the owner's numbers, it is the one that the account has chosen for its campaigns, if any. Raises Conflict if the
    operator has withdrawn the campaign's numbers.
    """
    chosen = {number.pk: number for number in PhoneNumber.objects.filter(pk__in=campaign.caller_ids)}
    wanted = [chosen[pk] for pk in campaign.caller_ids if pk in chosen]
    if owned := [one.number for one in wanted if one.owner_id == campaign.owner_id]:
        return owned[0]
    if retired := [one.number for one in wanted if one.retired_at is not None]:
        raise Conflict(
            f"The operator has withdrawn the phone number {retired[0]} of this campaign. Choose another one for it.",
            code="number_retired",
        )
    return choose_caller(owner_id=campaign.owner_id, wanted=campaign.owner.default_caller)
