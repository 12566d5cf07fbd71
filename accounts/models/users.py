"""People, and where they have logged in from."""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import AbstractUser, Group, Permission
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models, transaction
from django.db.models import Value
from django.db.models.functions import Lower, Now
from django.utils.crypto import salted_hmac

from accounts.revocation import same_password


class UserManager(DjangoUserManager["User"]):
    """Look up people by e-mail address, case-insensitively."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the person with this e-mail address. Raises `User.DoesNotExist`."""
        # The database lowers both sides: it can use the unique index on Lower("email"), and both sides follow the same
        # rules, which differ from Python's.
        return self.alias(lowered=Lower("email")).get(lowered=Lower(Value(username or "")))

    def create_user(  # type: ignore[override]  # the e-mail address comes first here, as it is the login
        self, email: str, password: str | None = None, *, username: str = "", **fields: Any
    ) -> "User":
        """Create a person without an account (`accounts.services.create_account` creates both).

        Without a password, the person cannot log in. Without a username, one is derived from the e-mail address.
        """
        email = self.normalize_email(email.strip())
        user = self.model(email=email, username=username or self._free_username(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(  # type: ignore[override]
        self, email: str, password: str | None = None, **fields: Any
    ) -> "User":
        """Create an operator, who may use the admin pages."""
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})

    def _free_username(self, email: str) -> str:
        wanted = re.sub(r"[^\w.+-]", "", email.partition("@")[0])[:140] or "user"
        taken = set(self.filter(username__startswith=wanted).values_list("username", flat=True))
        suffix = 1
        name = wanted
        while name in taken:
            suffix += 1
            name = f"{wanted}{suffix}"
        return name


class User(AbstractUser):
    """A person, who logs in by e-mail address. People act for accounts as their members (`Member`)."""

    email = models.EmailField("e-mail address", unique=True)
    contact_number = models.CharField(max_length=20, blank=True)
    address = models.CharField(max_length=255, blank=True)
    is_verified_email = models.BooleanField(default=False)
    is_verified_phone = models.BooleanField(default=False)
    # These tables have their names from the time when people and accounts were one table.
    groups = models.ManyToManyField(  # type: ignore[assignment]  # the stub of the base has another through model
        Group, blank=True, related_name="user_set", related_query_name="user", db_table="accounts_user_groups"
    )
    user_permissions = models.ManyToManyField(  # type: ignore[assignment]
        Permission,
        blank=True,
        related_name="user_set",
        related_query_name="user",
        db_table="accounts_user_user_permissions",
    )
    # Each token carries the version under which it was issued; tokens without one have version 0. A trigger increments
    # the version when any program changes the password or deactivates the person (accounts.revocation).
    token_version = models.BigIntegerField(default=0, db_default=0, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta(AbstractUser.Meta):
        abstract = False
        swappable = "AUTH_USER_MODEL"
        # Not `accounts_user`: that is a view, which processes of the previous release use (`accounts.previous_release`).
        db_table = "accounts_person"
        constraints = (models.UniqueConstraint(Lower("email"), name="accounts_user_email_once"),)

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save all fields except the token version, which may have changed since this object was read."""
        if not self._state.adding and update_fields is None:
            kept = {"id", "token_version", *self.get_deferred_fields()}
            update_fields = [field.name for field in self._meta.concrete_fields if field.name not in kept]
        new_password = getattr(self, "_password", None) is not None and not self._state.adding
        super().save(*args, update_fields=update_fields, **kwargs)
        if new_password:
            # A trigger has raised the version. The session in which the person changes the password needs the new version.
            self.refresh_from_db(fields=["token_version"])

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return a text that each session of this person stores. When the text changes, the sessions end, as tokens do.

        Django's own text depends on the password's hash. With it, sessions would survive `services.end_all_logins`, and
        would end when the same password is hashed again.
        """
        version = f"{self.pk} {self.token_version}"
        return salted_hmac(
            "accounts.models.users.session", version, secret=secret, algorithm="sha256"
        ).hexdigest()

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the password. A correct password with an outdated hash is hashed again and saved."""
        return check_password(raw_password, self.password, self._rehash)

    def _rehash(self, raw_password: str) -> None:
        self.password = make_password(raw_password)
        with transaction.atomic(), same_password():
            self.save(update_fields=["password"])


class EndedLogin(models.Model):
    """A login that ended before its tokens expired. Its tokens are refused."""

    login = models.CharField(max_length=64, primary_key=True, help_text="What its tokens have in common.")
    ends_at = models.DateTimeField(db_index=True, help_text="When the last of its tokens has expired.")

    def __str__(self) -> str:
        return self.login


class KnownAddress(models.Model):
    """A network from which a person has logged in, as a keyed hash. `accounts.login_limits` applies fewer limits to it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_addresses", db_index=False)
    network = models.CharField(max_length=32)
    seen_at = models.DateTimeField(db_default=Now(), db_index=True, help_text="To the day.")

    class Meta:
        verbose_name_plural = "known addresses"
        constraints = (
            models.UniqueConstraint(fields=("user", "network"), name="accounts_knownaddress_once"),
        )

    def __str__(self) -> str:
        return f"{self.network[:8]}… of user {self.user_id}"


class RateCounter(models.Model):
    """The number of events in a time window. Only `accounts.counters` writes it."""

    key = models.CharField(max_length=32, primary_key=True, db_collation="C")
    count = models.IntegerField()
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key[:8]}…: {self.count}"
