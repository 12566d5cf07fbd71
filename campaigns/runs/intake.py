"""Choose which of a run's next recipients it contacts, and which its rules leave out. The hopper takes them in order.

When recipients are read, it is certain which of them are duplicates. How often a number was contacted is certain only in the
transaction that queues the deliveries (`confirm`). `take` already counts contacts, too, so that iris makes no speech and
counts no credits for recipients that will be left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db.models import Count, F, Q, QuerySet, Sum

from campaigns import duplicates
from campaigns.models import Campaign, LeftOut, Recipient, Run
from campaigns.runs import frequency_cap
from campaigns.runs.delivery_requests import Addressee, addressees
from campaigns.runs.prices import RunPrices
from campaigns.runs.rules import ContactRules, rules_of
from iris.errors import InvalidInput
from telephony.models import FINAL, Channel, Delivery, Purpose


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """The next recipients of a run, in order, and why some of them are left out. `is_last`: no others follow."""

    recipients: list[Addressee]
    left_out: Mapping[int, LeftOut]
    is_last: bool

    @property
    def contacts(self) -> list[Addressee]:
        return [one for one in self.recipients if one.pk not in self.left_out]

    def without(self, ids: Collection[int], reason: LeftOut) -> Intake:
        """Leave out these recipients, too."""
        return replace(self, left_out={**self.left_out, **dict.fromkeys(ids, reason)}) if ids else self

    def first(self, count: int) -> Intake:
        """Return the beginning of this intake: at most `count` contacts, and the recipients left out before the next one."""
        contacts = self.contacts
        if len(contacts) <= count:
            return self
        before = [one for one in self.recipients if one.pk < contacts[count].pk]
        return replace(self, recipients=before, is_last=False)

    @property
    def reasons(self) -> dict[int, LeftOut]:
        """Why recipients of this part are left out."""
        return {one.pk: self.left_out[one.pk] for one in self.recipients if one.pk in self.left_out}

    def count(self, reason: LeftOut) -> int:
        """Return how many recipients of this part are left out for this reason."""
        return sum(one == reason for one in self.reasons.values())


def contacts_among(
    recipients: QuerySet[Recipient], count: int, *, campaign: Campaign, rules: ContactRules
) -> tuple[QuerySet[Recipient], int]:
    """Return the recipients, out of these `count`, that a run with these rules may contact, and their number.

    Leaves out known duplicates. The campaign must be locked. Raises InvalidInput if all recipients are duplicates.
    """
    if not rules.once_per_number:
        return recipients, count
    duplicates.mark_in_request(campaign)
    known = duplicates.known(campaign)
    others = count - recipients.filter(known).count()
    if not others:
        raise InvalidInput(
            "Each of these numbers comes earlier in the campaign, too. With duplicates “once”, there is nobody to call or"
            " text. Begin it for the earlier ones, or with duplicates “keep”.",
            code="only_duplicates",
        )
    return recipients.exclude(known), others


def is_ready(run: Run) -> bool:
    """Return whether the duplicates among the run's recipients are known. If not, mark the next of them."""
    if not rules_of(run).once_per_number or duplicates.are_marked(run.campaign, up_to=run.last_recipient):
        return True
    return duplicates.mark_next(run.campaign_id)


def take(run: Run, *, limit: int, count_contacts: bool) -> Intake:
    """Return the run's next recipients, at most `limit` and no more than its wave has room for.

    Without `count_contacts`, only `confirm` applies the frequency cap.
    """
    recipients = addressees(run.untouched()[:limit])
    taken = Intake(recipients=recipients, left_out={}, is_last=len(recipients) < limit)
    if not recipients:
        return taken
    rules = rules_of(run)
    if rules.once_per_number:
        taken = taken.without(_duplicates_among(run, recipients), LeftOut.DUPLICATE)
    if rules.frequency_cap is not None and count_contacts:
        over = frequency_cap.over_cap(run, rules.frequency_cap, taken.contacts)
        taken = taken.without(over, LeftOut.FREQUENCY_CAP)
    return taken if run.wave_room is None else taken.first(run.wave_room)


def confirm(run: Run, taken: Intake) -> Intake:
    """Leave out the recipients over the frequency cap, now for certain. Call it first in a transaction.

    Until the transaction ends, no other run of the account can contact anybody under a cap.
    """
    cap = rules_of(run).frequency_cap
    if cap is None or not taken.recipients:
        return taken
    frequency_cap.lock_counts(run)
    return taken.without(frequency_cap.over_cap(run, cap, taken.contacts), LeftOut.FREQUENCY_CAP)


def _duplicates_among(run: Run, recipients: list[Addressee]) -> list[int]:
    marked = Recipient.objects.filter(
        campaign_id=run.campaign_id, duplicate=True, pk__range=(recipients[0].pk, recipients[-1].pk)
    )
    ids = {one.pk for one in recipients}
    return [pk for pk in marked.values_list("pk", flat=True) if pk in ids]


def count_affordable(run: Run, recipients: Sequence[Addressee]) -> int:
    """Return how many of the next recipients the hold of a run with a spending limit can pay for."""
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=FINAL).aggregate(
        reserved=Sum(F("credit_limit") * (1 + F("tries_reserved"))),
        calls=Count("pk", filter=Q(channel=Channel.CALL)),
    )
    reserved = unfinished["reserved"] or Decimal(0)
    if run.failover_statuses:
        reserved += run.sms_limit * unfinished["calls"]
    # The hold is read after the deliveries: credits captured in between are subtracted twice, which is safe. In the
    # other order they would not be subtracted at all.
    run.hold.refresh_from_db()
    return RunPrices(run).affordable([one.to for one in recipients], run.hold.remaining - reserved)
