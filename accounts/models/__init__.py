"""Accounts, the people who act for them, and the ledger that explains every credit."""

from accounts.models.accounts import MONEY_DIGITS, MONEY_PLACES, Account
from accounts.models.api_requests import ApiRequest
from accounts.models.audit import AuditEntry
from accounts.models.credits import CreditEntry, CreditHold
from accounts.models.keys import ApiKey
from accounts.models.ledger_checks import LedgerCheckResult
from accounts.models.low_credits import LowCreditWarning
from accounts.models.mail import LinkRequest, OutgoingMail
from accounts.models.members import Member, MemberQuerySet
from accounts.models.people import PersonRequest, Retention
from accounts.models.statements import ClosedDay, Statement
from accounts.models.users import EndedLogin, KnownAddress, RateCounter, User, UserManager

__all__ = [
    "MONEY_DIGITS",
    "MONEY_PLACES",
    "Account",
    "ApiKey",
    "ApiRequest",
    "AuditEntry",
    "ClosedDay",
    "CreditEntry",
    "CreditHold",
    "EndedLogin",
    "KnownAddress",
    "LedgerCheckResult",
    "LinkRequest",
    "LowCreditWarning",
    "Member",
    "MemberQuerySet",
    "OutgoingMail",
    "PersonRequest",
    "RateCounter",
    "Retention",
    "Statement",
    "User",
    "UserManager",
]
