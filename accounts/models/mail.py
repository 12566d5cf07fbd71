"""E-mails that wait to be sent, and links that people asked for. A worker sends both (`accounts.mail`, `accounts.links`)."""

from django.db import models
from django.db.models.functions import Now

from accounts.models.accounts import Account


class LinkRequest(models.Model):
    """A request to mail a link to an address. It is stored whether or not the address belongs to a person.

    So a web request takes the same time in both cases, and does not reveal which addresses have an account.
    """

    class Kind(models.TextChoices):
        RESET = "reset", "set a new password"
        INVITATION = "invitation", "set the first password"
        VERIFICATION = "verification", "verify the address"

    kind = models.CharField(max_length=12, choices=Kind)
    email = models.CharField(max_length=254)
    account = models.ForeignKey(
        Account,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        help_text="The account to which the person is invited.",
    )
    requested_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class OutgoingMail(models.Model):
    """An e-mail that is not sent yet. It is deleted when the SMTP server has accepted it."""

    to = models.EmailField()
    subject = models.CharField(max_length=200)
    body = models.TextField()
    attempts = models.SmallIntegerField(default=0, db_default=0)
    not_before = models.DateTimeField(db_default=Now(), db_index=True)
    last_error = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"e-mail {self.pk}"
