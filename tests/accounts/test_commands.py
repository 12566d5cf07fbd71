"""The commands topup, createaccount and endlogins, called as an operator types them."""

from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts import apikeys
from accounts.models import CreditEntry, User
from accounts.services import log_in, open_account
from tests.factories import account_of, client_of, make_account, make_user

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


class TestTopup:
    def test_topup_adds_credits_and_prints_the_balance(self) -> None:
        make_user(email="sita@example.com", credits=10)
        assert run("topup", "Sita@Example.com", "12.50") == (
            "sita@example.com was given 12.50 credits and can now spend 22.50.\n"
        )

    def test_topup_with_the_same_cause_is_booked_once(self) -> None:
        user = make_user(email="sita@example.com")
        for _ in range(2):
            run("topup", "sita@example.com", "5", "--cause", "invoice 7", "--note", "Paid")
        assert CreditEntry.objects.get(account__members__user=user).note == "Paid"

    def test_topup_says_that_the_cause_was_already_booked(self) -> None:
        make_user(email="sita@example.com")
        run("topup", "sita@example.com", "5", "--cause", "invoice 7")

        output = run("topup", "sita@example.com", "5", "--cause", "invoice 7")

        assert output.startswith("invoice 7 was already booked on 20")
        assert output.endswith("so sita@example.com received nothing and can now spend 5.00.\n")

    @pytest.mark.parametrize(
        ("email", "amount", "sentence"),
        [
            ("nobody@example.com", "5", "no account with the e-mail address nobody@example.com"),
            ("sita@example.com", "many", "'many' is not a number of credits"),
            ("sita@example.com", "0", "greater than zero"),
            ("sita@example.com", "1.234", "at most two decimals"),
            ("sita@example.com", "NaN", "not an amount of credits"),
            ("sita@example.com", "1e400", "not an amount of credits"),
        ],
    )
    def test_topup_explains_wrong_arguments(self, email: str, amount: str, sentence: str) -> None:
        make_user(email="sita@example.com")
        with pytest.raises(CommandError, match=sentence):
            run("topup", email, amount)
        assert CreditEntry.objects.count() == 0

    def test_topup_of_one_of_several_accounts_needs_its_number(self) -> None:
        user = make_user(email="sita@example.com")
        department = open_account(user=user, name="Department")
        with pytest.raises(CommandError, match=rf"{department.pk} \(Department\)"):
            run("topup", "sita@example.com", "5")
        assert run("topup", str(department.pk), "5").startswith("Department was given 5.00 credits")
        for unknown in ("1", "9" * 30):
            with pytest.raises(CommandError, match="no account with the number"):
                run("topup", unknown, "5")


class TestAddmember:
    def test_addmember_adds_a_person_and_changes_the_preset(self, settings: Settings) -> None:
        settings.MAIL_TO_LOG = False
        account = make_account(email="sita@example.com")
        said = run("addmember", "sita@example.com", "ram@example.com", "viewer")
        assert "ram@example.com is now viewer of sita@example.com" in said
        assert "changepassword ram@example.com" in said
        settings.MAIL_TO_LOG = True
        said = run("addmember", "sita@example.com", "gita@example.com", "viewer")
        assert "An e-mail with a link to set a password is on its way." in said
        assert "is now owner of" in run("addmember", str(account.pk), "RAM@example.com", "owner")
        assert account.members.filter(is_owner=True).count() == 2

    def test_addmember_keeps_the_last_owner(self) -> None:
        make_account(email="sita@example.com")
        with pytest.raises(CommandError, match="only owner"):
            run("addmember", "sita@example.com", "sita@example.com", "viewer")


class TestCreateaccount:
    def test_createaccount_creates_an_account_that_can_log_in(self) -> None:
        output = run(
            *("createaccount", "sita@example.com", "--password", "secret-password", "--credits", "100"),
            *("--first-name", "Sita", "--last-name", "Sharma"),
        )
        assert output == "sita@example.com can now log in, and has 100.00 credits.\n"
        user = log_in(email="sita@example.com", password="secret-password")
        assert (user.first_name, user.last_name, user.username, account_of(user).balance) == (
            "Sita",
            "Sharma",
            "sita",
            Decimal(100),
        )
        assert not user.is_staff

    def test_createaccount_takes_over_a_person_whom_a_member_has_added(self) -> None:
        run("addmember", str(make_account().pk), "sita@example.com", "viewer")
        run("createaccount", "Sita@example.com", "--password", "secret-password", "--first-name", "Sita")
        user = log_in(email="sita@example.com", password="secret-password")
        assert user.first_name == "Sita"
        # Their own account comes first, although they joined the other one before.
        assert [member.is_owner for member in user.memberships.all()] == [True, False]

    @pytest.mark.parametrize("password", ["demo-password", "other-password"])
    def test_createaccount_accepts_the_passwords_of_the_sandbox(self, password: str) -> None:
        run("createaccount", f"{password.partition('-')[0]}@example.com", "--password", password)

    def test_createaccount_prompts_for_a_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("getpass.getpass", lambda prompt: "typed in twice")
        run("createaccount", "sita@example.com")
        assert log_in(email="sita@example.com", password="typed in twice")

    def test_createaccount_refuses_two_different_passwords(self, monkeypatch: pytest.MonkeyPatch) -> None:
        typed = iter(["one password", "another password"])
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))
        with pytest.raises(CommandError, match="not the same"):
            run("createaccount", "sita@example.com")

    def test_createaccount_without_a_terminal_names_the_password_options(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
        with pytest.raises(CommandError, match="--password-file"):
            run("createaccount", "sita@example.com")

    @pytest.mark.parametrize("words", [["--password-file", "-"], ["--password-stdin"]])
    def test_createaccount_reads_the_password_from_standard_input(
        self, monkeypatch: pytest.MonkeyPatch, words: list[str]
    ) -> None:
        monkeypatch.setattr("sys.stdin", StringIO("typed by a script \nand another line\n"))
        run("createaccount", "sita@example.com", *words)
        assert log_in(email="sita@example.com", password="typed by a script ")

    def test_createaccount_reads_the_password_from_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("पासवर्ड-लामो\r\n", encoding="utf-8")
        run("createaccount", "sita@example.com", "--password-file", str(file))
        assert log_in(email="sita@example.com", password="पासवर्ड-लामो")

    def test_createaccount_reads_the_password_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SITAS_PASSWORD", "secret-password")
        run("createaccount", "sita@example.com", "--password-env", "SITAS_PASSWORD")
        assert log_in(email="sita@example.com", password="secret-password")

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["--password-file", "nowhere/at/all"], "cannot be read from nowhere/at/all"),
            (["--password-file", "/dev/null"], "is empty"),
            (["--password-env", "NOT_SET_AT_ALL"], "no environment variable NOT_SET_AT_ALL"),
            (["--password-env", "HOME", "--password", "secret-password"], "in one way"),
            (["--password-env", "HOME", "--password-file", "-"], "in one way"),
        ],
    )
    def test_createaccount_explains_why_it_has_no_password(self, words: list[str], sentence: str) -> None:
        with pytest.raises(CommandError, match=sentence):
            run("createaccount", "sita@example.com", *words)
        assert not User.objects.exists()

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["sita", "--password", "secret-password"], "'sita' is not an e-mail address"),
            (["taken@example.com", "--password", "secret-password"], "already an account with this e-mail"),
            (["TAKEN@example.com", "--password", "secret-password"], "already an account with this e-mail"),
            (
                ["a@example.com", "--password", "secret-password", "--username", "taken"],
                "already an account with this username",
            ),
            (["a@example.com", "--password", "short"], "too short"),
            (["a@example.com", "--password", "password"], "too common"),
            (["a@example.com", "--password", ""], "too short"),
            (
                ["a@example.com", "--password", "secret-password", "--credits", "lots"],
                "not a number of credits",
            ),
            (
                ["a@example.com", "--password", "secret-password", "--credits", "-5"],
                "not an amount of credits",
            ),
        ],
    )
    def test_createaccount_explains_wrong_arguments_and_creates_nothing(
        self, words: list[str], sentence: str
    ) -> None:
        make_user(email="taken@example.com")
        with pytest.raises(CommandError, match=sentence):
            run("createaccount", *words)
        assert User.objects.count() == 1


class TestEndlogins:
    def test_endlogins_revokes_keys_only_with_the_keys_option(self) -> None:
        user = make_user(email="sita@example.com")
        client, key = client_of(user), apikeys.generate(account=account_of(user))
        assert run("endlogins", "Sita@example.com") == "All logins of sita@example.com have ended.\n"
        assert client.get("/api/accounts/user_details/").status_code == 401
        assert apikeys.find(key) is not None
        assert run("endlogins", "sita@example.com", "--keys").endswith("1 API keys were revoked.\n")
        assert apikeys.find(key) is None

    def test_endlogins_refuses_an_unknown_account(self) -> None:
        with pytest.raises(CommandError, match="no account"):
            run("endlogins", "nobody@example.com")


def test_createsuperuser_creates_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "secret-password")
    options: dict[str, Any] = {"interactive": False, "email": "operator@example.com"}
    call_command("createsuperuser", **options, stdout=StringIO())
    operator = User.objects.get()
    assert operator.is_staff
    assert operator.is_superuser
    assert operator.check_password("secret-password")
