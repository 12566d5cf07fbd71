"""Tell the people who manage the credits of an account, and its programs, that few are left.

A worker compares the balances with the levels that accounts chose (`Account.low_credit_level`) twice a minute, so
bookings do no extra work. A `LowCreditWarning` exists as long as the balance stays below the level. Only the process
that inserts it writes the e-mails and sends `credits_fell_low`, in the same transaction. So each time a balance falls
below the level, each person gets one e-mail and each program one event, even if several processes compare at once or
one of them dies. The programs of test twins get events, too, but nobody gets an e-mail about test credits.
"""

from collections.abc import Sequence

from django.conf import settings
from django.db import connection, transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import mail
from accounts.models import Account, Member
from accounts.permissions import Permission
from accounts.signals import credits_fell_low

BATCH_SIZE = 200


@transaction.atomic
def warn() -> int:
    """Tell of the accounts whose balance has fallen below their level. Return how many accounts that are.

    Handles at most BATCH_SIZE accounts; call it again for the others. Safe to run concurrently.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FORGET)
        cursor.execute(_NOTE, [BATCH_SIZE])
        noted = [account_id for (account_id,) in cursor.fetchall()]
    if noted:
        credits_fell_low.send(None, account_ids=noted)
        mail.enqueue_all(_mails(noted))
    return len(noted)


def _mails(account_ids: Sequence[int]) -> list[mail.Draft]:
    """Return an e-mail for each person who manages the credits of an account."""
    accounts = list(Account.objects.filter(pk__in=account_ids, twin_of=None).order_by("pk"))
    people = _managers({pk for account in accounts for pk in (account.pk, account.parent_id) if pk})
    drafts = []
    for account in accounts:
        # The members of the parent also act for a department, but get the e-mail only if it has no managers of its own.
        addresses = people.get(account.pk) or people.get(account.parent_id or 0, [])
        context = {
            "account": account,
            "server": settings.IRIS_PUBLIC_URL,
            "link": settings.IRIS_PUBLIC_URL + reverse("console:credits", args=[account.pk]),
        }
        text = render_to_string("accounts/mail/low_credits.txt", context)
        subject, _, body = text.strip().partition("\n")
        drafts += [mail.Draft(to=address, subject=subject, body=body.strip() + "\n") for address in addresses]
    return drafts


def _managers(account_ids: set[int]) -> dict[int, list[str]]:
    """Return the e-mail addresses of the active members of each account who manage its credits."""
    found: dict[int, list[str]] = {}
    members = Member.objects.filter(account__in=account_ids, user__is_active=True).select_related("user")
    for member in members:
        if Permission.MANAGE_CREDITS in member.granted:
            found.setdefault(member.account_id, []).append(member.user.email)
    return found


# A warning ends when the balance has recovered, or when the account has switched its level off. The next fall warns again.
_FORGET = """
    DELETE FROM accounts_lowcreditwarning w USING accounts_account a
     WHERE a.id = w.account_id AND (a.low_credit_level IS NULL OR a.balance >= a.low_credit_level)
"""
_NOTE = """
    INSERT INTO accounts_lowcreditwarning (account_id)
    SELECT a.id FROM accounts_account a
     WHERE a.balance < a.low_credit_level AND NOT a.is_suspended
       AND NOT EXISTS (SELECT FROM accounts_lowcreditwarning w WHERE w.account_id = a.id)
     ORDER BY a.id LIMIT %s
    ON CONFLICT DO NOTHING RETURNING account_id
"""
