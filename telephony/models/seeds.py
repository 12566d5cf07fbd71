"""Seed numbers: numbers of an account itself, which get the SMS of its large campaigns, too."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from accounts.models import Account


class SeedNumber(models.Model):
    owner = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="seed_numbers", db_index=False)
    number = models.CharField(max_length=32, help_text="In E.164.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "number"], name="seed_number_once")]

    def __str__(self) -> str:
        return self.number


class SeedSms(models.Model):
    """An SMS to a seed number, and whether somebody has seen it arrive. The other facts are in its delivery."""

    delivery = models.BigIntegerField(primary_key=True, help_text="Its id.")
    owner = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    arrived = models.BooleanField(null=True, blank=True, help_text="Empty: nobody has said yet.")
    told_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "seed SMS"
        indexes: ClassVar = [
            models.Index(fields=["owner", "-delivery"], name="seed_sms_of_owner"),
            models.Index(fields=["created_at"], name="seed_sms_by_time"),
        ]

    def __str__(self) -> str:
        return f"Seed SMS {self.delivery}"
