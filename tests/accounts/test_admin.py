"""The admin pages: operators top up accounts and view the ledger."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts import departments, twins
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry, User
from tests.factories import account_of, make_account, make_hold, make_member, make_user, owner_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator@example.com", "secret-password"))
    return client


def form_of(page: object, **changes: str) -> dict[str, str]:
    """Return the form data that a browser would submit from the change page, with `changes` filled in."""
    form = page.context["adminform"].form  # type: ignore[attr-defined]
    sent = {name: form[name].value() for name in form.fields}
    return {
        name: value if isinstance(value, str) else "on"
        for name, value in {**sent, **changes}.items()
        if value not in (None, False, []) and name not in ("password", "groups", "user_permissions")
    }


def members_form(account: Account) -> dict[str, str]:
    """Return the management form of the table of members, which a browser submits with the account."""
    count = str(account.members.count())
    return {"members-TOTAL_FORMS": count, "members-INITIAL_FORMS": count} | {
        f"members-{place}-{name}": str(value)
        for place, member in enumerate(account.members.all())
        for name, value in (("id", member.pk), ("account", account.pk))
    }


@pytest.mark.parametrize("model", ["user", "account", "apikey", "creditentry", "credithold"])
def test_changelists_need_a_constant_number_of_queries(operator: Client, model: str) -> None:
    make_hold(amount=5)
    url = reverse(f"admin:accounts_{model}_changelist")
    response = operator.get(url)
    assert response.status_code == 200
    assert operator.get(url, {"q": "x"}).status_code == 200


def test_submitting_the_account_page_twice_tops_up_once(operator: Client) -> None:
    account = make_account(credits=10)
    url = reverse("admin:accounts_account_change", args=[account.pk])
    form = members_form(account) | form_of(operator.get(url), top_up="12.50", name="Water office")
    for _ in range(2):
        assert operator.post(url, form).status_code == 302
    account.refresh_from_db()
    assert (account.name, account.balance) == ("Water office", Decimal("22.50"))
    assert (
        CreditEntry.objects.get(account=account, amount=Decimal("12.50")).note
        == "Top-up by operator@example.com"
    )
    assert check_ledger().differences == ()


def test_pages_of_accounts_show_departments_and_test_twins(operator: Client) -> None:
    account = make_account(name="City")
    departments.create(parent=account, name="Ward 5")
    twin = twins.open_twin(account=account)
    listed = operator.get(reverse("admin:accounts_account_changelist")).content.decode()
    assert listed.count("City</a>") + listed.count(">City<") >= 3
    page = operator.get(reverse("admin:accounts_account_change", args=[twin.pk]))
    assert "twin of" in page.content.decode().lower()
    assert {"parent", "twin_of"}.isdisjoint(page.context["adminform"].form.fields)


def test_a_test_twin_is_not_topped_up_on_its_page(operator: Client) -> None:
    twin = twins.open_twin(account=make_account())
    url = reverse("admin:accounts_account_change", args=[twin.pk])
    response = operator.post(url, members_form(twin) | form_of(operator.get(url), top_up="12.50"))
    assert response.status_code == 200
    assert "Its members fill up its credits themselves" in response.content.decode()
    assert CreditEntry.objects.filter(account=twin).count() == 1


def test_saving_the_account_page_without_an_amount_books_nothing(operator: Client) -> None:
    account = make_account(credits=10)
    url = reverse("admin:accounts_account_change", args=[account.pk])
    form = members_form(account) | form_of(operator.get(url), is_suspended="on")
    assert operator.post(url, form).status_code == 302
    account.refresh_from_db()
    assert (account.is_suspended, account.balance) == (True, 10)
    assert CreditEntry.objects.count() == 1


@pytest.mark.parametrize("amount", ["0", "-5", "1.234", "many", "1e15", "NaN"])
def test_an_invalid_top_up_amount_is_reported_on_the_account_page(operator: Client, amount: str) -> None:
    account = make_account(credits=10)
    url = reverse("admin:accounts_account_change", args=[account.pk])
    response = operator.post(url, members_form(account) | form_of(operator.get(url), top_up=amount))
    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == ["top_up"]
    assert CreditEntry.objects.count() == 1


def test_a_top_up_beyond_the_maximum_balance_is_reported_on_the_account_page(operator: Client) -> None:
    account = make_account(credits=Decimal("999999999999"))
    url = reverse("admin:accounts_account_change", args=[account.pk])
    response = operator.post(url, members_form(account) | form_of(operator.get(url), top_up="5"))
    assert response.status_code == 200
    assert "cannot have more" in str(response.context["adminform"].form.errors)


def test_an_operator_can_create_an_account(operator: Client) -> None:
    sent = {
        "email": "sita@example.com",
        "username": "sita",
        "password1": "secret-word",
        "password2": "secret-word",
    }
    response = operator.post(reverse("admin:accounts_user_add"), {**sent, "usable_password": "true"})
    assert response.status_code == 302
    user = User.objects.get(email="sita@example.com")
    assert user.check_password("secret-word")
    assert owner_of(Account.objects.get(pk=user.pk)) == user


def test_an_operator_edits_a_person_and_cannot_delete_an_owner(operator: Client) -> None:
    user = make_user()
    url = reverse("admin:accounts_user_change", args=[user.pk])
    assert operator.post(url, form_of(operator.get(url), address="Patan")).status_code == 302
    user.refresh_from_db()
    assert user.address == "Patan"
    delete = reverse("admin:accounts_user_delete", args=[user.pk])
    assert operator.post(delete, {"post": "yes"}).status_code == 403
    clerk = make_member(account_of(user), "viewer")
    delete = reverse("admin:accounts_user_delete", args=[clerk.pk])
    assert operator.post(delete, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=clerk.pk).exists()


@pytest.mark.parametrize("model", ["creditentry", "credithold"])
def test_the_admin_pages_show_the_ledger_read_only(operator: Client, model: str) -> None:
    held = make_hold(amount=5)
    pk = held.pk if model == "credithold" else held.entries.get().pk
    assert operator.get(reverse(f"admin:accounts_{model}_change", args=[pk])).status_code == 200
    assert operator.get(reverse(f"admin:accounts_{model}_add")).status_code == 403
    assert (
        operator.post(reverse(f"admin:accounts_{model}_change", args=[pk]), {"amount": 1}).status_code == 403
    )
    assert (
        operator.post(reverse(f"admin:accounts_{model}_delete", args=[pk]), {"post": "yes"}).status_code
        == 403
    )
