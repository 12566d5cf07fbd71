"""Erase messages, recorded answers and recipients of campaigns when their account no longer keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Exists, OuterRef

from accounts.people.passes import Pass, batches
from accounts.people.persons import ERASED
from accounts.people.registry import Expiry
from campaigns.models import Campaign, Recipient, Run, Service
from campaigns.people.erasing import erase_recipients, erase_recordings
from telephony.engine.retention import ended_campaign_deliveries
from telephony.people import erase_deliveries


def _runs(one: Pass, kind: str, before: datetime) -> Iterator[Run]:
    """Yield the account's runs that ended between the mark of this kind and this time.

    When the caller has erased a run and asks for the next one, the mark moves to the end of the erased run.
    """
    ended = Run.objects.filter(campaign__owner=one.account, finished_at__lt=before).select_related("campaign")
    ended = ended.order_by("finished_at", "pk")
    for run in ended.filter(finished_at__gte=one.since(kind)).iterator(chunk_size=100):
        yield run
        assert run.finished_at is not None
        one.reach(kind, run.finished_at.isoformat())


def _erase_messages(one: Pass, before: datetime) -> None:
    for run in _runs(one, "messages", before):
        rows = ended_campaign_deliveries([run.pk])
        for ids in batches(rows.exclude(to=ERASED), "item"):
            one.count("messages", erase_deliveries(ids))


def _erase_recordings(one: Pass, before: datetime) -> None:
    for run in _runs(one, "recordings", before):
        if run.campaign.service == Service.SURVEY:
            for ids in batches(Recipient.objects.filter(campaign=run.campaign_id)):
                one.count("recordings", erase_recordings(ids, run_id=run.pk))


def _erase_recipients(one: Pass, before: datetime) -> None:
    for run in _runs(one, "recipients", before):
        later = Run.objects.filter(campaign=run.campaign_id, pk__gt=run.pk)
        if not later.exists():  # otherwise the latest run decides
            _erase_list(one, run.campaign_id)


def _erase_unused_lists(one: Pass, before: datetime) -> None:
    """Erase the recipients of campaigns that never ran and were last changed before this time."""
    unused = Campaign.objects.filter(owner=one.account, updated_at__lt=before).exclude(
        Exists(Run.objects.filter(campaign=OuterRef("pk")))
    )
    since = one.since("lists")
    for pk, changed in (
        unused.filter(updated_at__gte=since).order_by("updated_at").values_list("pk", "updated_at")
    ):
        _erase_list(one, pk)
        one.reach("lists", changed.isoformat())


def _erase_list(one: Pass, campaign_id: int) -> None:
    for ids in batches(Recipient.objects.filter(campaign=campaign_id).exclude(number=ERASED)):
        one.count("recipients", erase_recipients(ids))


EXPIRIES = (
    Expiry("keep_recordings_days", _erase_recordings),
    Expiry("keep_messages_days", _erase_messages),
    Expiry("keep_recipients_days", _erase_recipients),
    Expiry("keep_recipients_days", _erase_unused_lists),
)
