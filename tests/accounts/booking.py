"""Book credits, and check balances and the ledger."""

from decimal import Decimal

from accounts.credits import Capture
from accounts.ledger import check_ledger
from accounts.models import Account, CreditHold


def balance_of(account: Account) -> Decimal:
    return Account.objects.values_list("balance", flat=True).get(pk=account.pk)


def capture(hold: CreditHold, amount: int | str, cause: str) -> Capture:
    return Capture(hold_id=hold.pk, amount=Decimal(amount), cause=cause)


def assert_exact() -> None:
    assert check_ledger().differences == ()
