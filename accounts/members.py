"""Find, add, change and remove the members of an account: the people who act for it.

Members of an account also act for its departments and for its test twin, with the same permissions (`standing`). An account
always keeps an owner: the last one can neither leave nor lose ownership. All functions that change members lock
the account's row first, so of two owners who leave at the same time, one stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Exists, Q

from accounts import links, services
from accounts.models import Account, EndedLogin, Member, MemberQuerySet, User
from accounts.permissions import ALL, OWNER, PRESETS, Permission, check
from accounts.prepared import PreparedQuery
from iris.errors import Conflict, InvalidInput, NotAllowed, NotFound


class NotAMember(NotAllowed):
    """The person is not a member of the account, or the account does not exist. The error does not reveal which."""

    default_code = "not_a_member"


class AccountSuspended(NotAllowed):
    """The account is suspended, or the one of which it is a department or the test twin."""

    default_code = "account_suspended"


class LastOwner(Conflict):
    """The account would have no owner any more."""

    default_code = "last_owner"


class ExceedsOwnPermissions(NotAllowed):
    """The actor would grant permissions that they do not have, or change or remove a member who has more."""

    default_code = "exceeds_own_permissions"


class NoMembers(Conflict):
    """A test twin has no members of its own."""

    default_code = "is_test_twin"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a person may do for an account, by all memberships that apply to the account.

    `member` is the membership in the account itself or, if there is none, the earliest other one that applies.
    """

    account: Account
    member: Member
    granted: frozenset[Permission]
    is_owner: bool


def _memberships(user_id: int, login: str) -> MemberQuerySet:
    """Return the memberships of a person, from the earliest to the latest; none if this login has ended."""
    has_not_ended = ~Exists(EndedLogin.objects.filter(login=login))
    return (
        Member.objects.filter(has_not_ended, user=user_id)
        .select_related("account__parent", "user")
        .order_by("joined_at", "pk")
    )


_FIRST = PreparedQuery(lambda user_id, login: _memberships(user_id, login)[:1], int, str)
_ACTING = PreparedQuery(
    lambda user_id, login, account_id: _memberships(user_id, login).acting_for(account_id), int, str, int
)


def standing(
    *, user_id: int, login: str = "", account_id: int | None, member_id: int | None = None
) -> Standing | None:
    """Return the standing of a person in the account `account_id`.

    Return None if the person is no member, or if `login` is a login of the person that has ended.

    If `account_id` is None, return the standing in the account that the person joined first. Memberships in the account and
    in its parent apply. For a test twin, memberships in the account that it tests for, and in that account's parent, apply.
    If `member_id` is given, it must be one of these. Executes at most two queries.
    """
    if account_id is None:
        # Twins have no members, so none can be the first account.
        first = _FIRST.first(user_id, login)
        if first is None:
            return None
        # A membership in the parent may add permissions.
        account_id, member_id = first.account_id, None
        counting = [first] if first.account.parent_id is None else []
    else:
        counting = []
    counting = counting or _ACTING.rows(user_id, login, account_id)
    if not counting or (member_id is not None and member_id not in {member.pk for member in counting}):
        return None
    own = next((member for member in counting if member.account_id == account_id), None)
    if own is not None:
        account = own.account
    else:
        account = Account.objects.select_related("parent", "twin_of__parent").get(pk=account_id)
    return Standing(
        account=account,
        member=own or counting[0],
        granted=frozenset[Permission]().union(*(member.granted for member in counting)),
        is_owner=any(member.is_owner for member in counting),
    )


def standing_of(*, user: User, account_id: int | None = None) -> Standing:
    """Return the person's standing in this account.

    If `account_id` is None, return the standing in the account that the person joined first. Raises NotAMember.
    """
    found = standing(user_id=user.pk, account_id=account_id)
    if found is None:
        raise not_a_member(account_id)
    return found


def refuse_suspended(account: Account) -> None:
    """Raise AccountSuspended if nobody can act for this account at the moment."""
    if any(one.is_suspended for one in account.represented_by):
        raise AccountSuspended("This account is suspended. Ask the operator of this server.")


def accounts_of(*, user: User) -> list[Account]:
    """Return all accounts for which a person can act: their own, each followed by its departments and test twins.

    Takes two queries, however many there are.
    """
    own = [member.account for member in Member.objects.filter(user=user).select_related("account")]
    ids = [account.pk for account in own]
    below = Account.objects.filter(Q(parent__in=ids) | Q(twin_of__in=ids) | Q(twin_of__parent__in=ids))
    children: dict[int, list[Account]] = {}
    for account in below.order_by("pk"):
        above = account.parent_id or account.twin_of_id
        if above is not None:
            children.setdefault(above, []).append(account)
    listed: dict[int, Account] = {}

    def add(account: Account) -> None:
        if account.pk not in listed:
            listed[account.pk] = account
            for child in children.get(account.pk, ()):
                add(child)

    for account in own:
        add(account)
    return list(listed.values())


def not_a_member(account_id: int | None) -> NotAMember:
    """Return the error for a person who is no member of the requested account, or of any account."""
    if account_id is None:
        return NotAMember("You are not a member of any account. Ask an owner of an account to add you.")
    return NotAMember(
        "You are not a member of this account. Name an account that you belong to, or omit the account."
    )


def find(*, account: Account, member_id: int) -> Member:
    """Return a member of this account. Raises NotFound."""
    member = Member.objects.select_related("user").filter(account=account, pk=member_id).first()
    if member is None:
        raise NotFound("This account has no such member.", code="no_such_member")
    return member


def add(
    *, account: Account, email: str, is_owner: bool = False, permissions: frozenset[Permission], by: "Actor"
) -> Member:
    """Add the person with this e-mail address. A new person is created without a password and gets an invitation.

    `invited` of the returned member says whether an e-mail with a link to set a password will be sent.
    Raises InvalidInput, Conflict (already a member), NoMembers (a test twin) and ExceedsOwnPermissions.
    """
    if account.is_twin:
        raise NoMembers(
            f"{account} is a test twin, which has no members of its own. The members of the account that it tests for act"
            " for it."
        )
    email = email.strip()
    services.check_email(email)
    by.check_may_grant(is_owner=is_owner, permissions=permissions)
    try:
        with _locked(account):
            user = _find_or_create(email)
            member = Member.objects.create(
                account=account, user=user, is_owner=is_owner, permissions=_stored(permissions)
            )
            member.invited = links.invite(user=user, account=account)
            return member
    except IntegrityError as error:
        raise Conflict(f"{email} is already a member of this account.", code="already_a_member") from error


def change(
    *, account: Account, member_id: int, is_owner: bool, permissions: frozenset[Permission], by: "Actor"
) -> Member:
    """Set what a member may do. Raises NotFound, LastOwner, MissingPermission and ExceedsOwnPermissions."""
    with _locked(account):
        member = find(account=account, member_id=member_id)
        by.check_may_change(member)
        by.check_may_grant(is_owner=is_owner, permissions=permissions)
        if member.is_owner and not is_owner:
            _refuse_last_owner(member)
        member.is_owner, member.permissions = is_owner, _stored(permissions)
        member.save(update_fields=["is_owner", "permissions"])
    return member


def remove(*, account: Account, member_id: int, by: "Actor") -> None:
    """Remove a member. The member's tokens for this account are refused from now on; API keys remain.

    Raises NotFound, LastOwner, MissingPermission and ExceedsOwnPermissions.
    """
    with _locked(account):
        member = find(account=account, member_id=member_id)
        by.check_may_change(member)
        if member.is_owner:
            _refuse_last_owner(member)
        member.delete()


class Actor:
    """The person or the API key that changes members. Nobody grants permissions that they do not have."""

    def __init__(self, *, granted: frozenset[Permission], is_owner: bool, user_id: int | None = None) -> None:
        self.granted = granted
        self.is_owner = is_owner
        self.user_id = user_id

    def check_may_grant(self, *, is_owner: bool, permissions: frozenset[Permission]) -> None:
        """Raise ExceedsOwnPermissions unless the actor has everything that is to be granted."""
        if is_owner and not self.is_owner:
            raise ExceedsOwnPermissions("Only an owner can make somebody an owner of this account.")
        if missing := sorted(permissions - self.granted):
            raise ExceedsOwnPermissions(
                f"You cannot grant permissions that you do not have: {', '.join(missing)}."
            )

    def check_may_change(self, member: Member) -> None:
        """Raise MissingPermission or ExceedsOwnPermissions unless the actor may change or remove this member.

        Members may always change or remove themselves.
        """
        if member.user_id == self.user_id:
            return
        check(self.granted, Permission.MANAGE_ACCOUNT, by_key=self.user_id is None)
        if member.is_owner and not self.is_owner:
            raise ExceedsOwnPermissions("Only an owner can change or remove an owner of this account.")
        if missing := sorted(member.granted - self.granted):
            raise ExceedsOwnPermissions(
                f"You cannot change or remove a member who has permissions that you do not have: {', '.join(missing)}."
            )


def parse_preset(name: str) -> tuple[bool, frozenset[Permission]]:
    """Return whether this preset is an owner's, and its permissions. Raises InvalidInput."""
    if name == OWNER:
        return True, ALL
    if name not in PRESETS:
        message = f"{name!r} is not a preset. Choose from: {', '.join((*PRESETS, OWNER))}."
        raise InvalidInput(message, errors=[{"field": "preset", "message": message}])
    return False, PRESETS[name]


def _find_or_create(email: str) -> User:
    try:
        return services.find_user(email=email)
    except NotFound:
        try:
            with transaction.atomic():
                return User.objects.create_user(email)
        except IntegrityError:  # another request has just created the same person
            return services.find_user(email=email)


@contextmanager
def _locked(account: Account) -> Iterator[None]:
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        yield


def _refuse_last_owner(member: Member) -> None:
    # The owners of an account also own its departments.
    others = Member.objects.filter(
        Q(account=member.account_id) | Q(account__departments=member.account_id),
        is_owner=True,
        user__is_active=True,
    )
    if not others.exclude(pk=member.pk).exists():
        raise LastOwner(
            "This is the only owner of the account. Make another member an owner first; then this one can leave."
        )


def _stored(permissions: frozenset[Permission]) -> list[str]:
    granted = permissions | {Permission.VIEW}  # no other permission is useful without this one
    return [one.value for one in Permission if one in granted]
