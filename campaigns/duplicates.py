"""Mark duplicates: recipients with the same number as an earlier recipient of the campaign.

Recipients have no index on numbers (docs/architecture.md). So they are marked in ranges of ids, each in one pass over the
recipients up to its end. `Campaign.duplicates_marked_to` is the end of the last range: only marks up to this id are right.
Recipients with an invalid number are never duplicates.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import Max, Q

from campaigns.models import Campaign, Recipient
from telephony.engine.failpoints import failpoint

RANGE = 250_000  # recipients that are marked in one transaction
# Requests mark the recipients of a campaign at once if it has at most this many. Workers mark larger ones.
MARKED_IN_REQUEST = 100_000
# A request marks the recipients that it has added if they are at least this share of all. Otherwise a client that adds many
# recipients one by one would make the server read all of them each time.
MIN_SHARE_OF_ADDED = 0.1


def are_marked(campaign: Campaign, *, up_to: int) -> bool:
    """Return whether the marks of the campaign's recipients up to this id are right."""
    return campaign.duplicates_marked_to >= up_to


def known(campaign: Campaign) -> Q:
    """Return the condition that a recipient of this campaign is certainly a duplicate."""
    return Q(duplicate=True, pk__lte=campaign.duplicates_marked_to)


def mark_added(campaign: Campaign, *, added: int) -> None:
    """Mark the recipients that a request has added to a locked campaign, if they are many or the campaign is small."""
    if added >= MIN_SHARE_OF_ADDED * campaign.number_count:
        mark_in_request(campaign)


def mark_in_request(campaign: Campaign) -> None:
    """Mark the recipients of a locked campaign, unless there are too many for a request."""
    if campaign.number_count <= MARKED_IN_REQUEST:
        _mark_range(campaign)


def mark_all(campaign_id: int) -> None:
    """Mark all recipients of a campaign, each range in a transaction of its own. A killed process loses one range."""
    while not mark_next(campaign_id):
        pass


def mark_next(campaign_id: int) -> bool:
    """Mark the next range of a campaign's recipients. Return whether this was the last one."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_id)
        all_marked = _mark_range(campaign)
        failpoint("marking")
    failpoint("marked_duplicates")
    return all_marked


def forget_marks(campaign: Campaign, *, since: int) -> None:
    """Note that the number of the recipient with the id `since` has changed or is gone. The campaign must be locked.

    Only the marks of that recipient and of later ones can be wrong then.
    """
    if campaign.duplicates_marked_to >= since:
        campaign.duplicates_marked_to = since - 1
        campaign.save(update_fields=["duplicates_marked_to"])


def forget_marks_without(campaign: Campaign, recipient: Recipient) -> None:
    """Note that a recipient of a locked campaign will be deleted: a duplicate of it may become the first of its number."""
    if Recipient.objects.filter(known(campaign), campaign=campaign, pk__gt=recipient.pk).exists():
        forget_marks(campaign, since=recipient.pk)


def _mark_range(campaign: Campaign) -> bool:
    """Mark the next RANGE recipients of a locked campaign. Return whether all are marked then."""
    marked_to = campaign.duplicates_marked_to
    rows = Recipient.objects.filter(campaign=campaign, pk__gt=marked_to).order_by("pk")
    end = rows[RANGE - 1 : RANGE].values_list("pk", flat=True).first()
    is_last = end is None
    if end is None:
        end = rows.aggregate(last=Max("pk"))["last"]
    if end is None:
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            # A window function, because its cost does not depend on the planner's estimates: with old statistics, a join
            # was quadratic. An array, because with a join the planner may read the recipients of all campaigns.
            """UPDATE campaigns_recipient SET duplicate = NOT duplicate
                WHERE id = ANY (ARRAY(
                    SELECT id
                      FROM (SELECT id, duplicate,
                                   "to" <> '' AND id > min(id) OVER (PARTITION BY "to" COLLATE "C") AS repeats
                              FROM campaigns_recipient WHERE campaign_id = %(campaign)s AND id <= %(end)s) AS read
                     WHERE id > %(marked_to)s AND duplicate <> repeats))""",
            {"campaign": campaign.pk, "marked_to": marked_to, "end": end},
        )
    campaign.duplicates_marked_to = end
    campaign.save(update_fields=["duplicates_marked_to"])
    return is_last
