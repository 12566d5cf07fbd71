"""Rows about carriers' reports: late reports on lost deliveries, and how a carrier reports on long SMS."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from telephony.models.deliveries import DeliveryStatus, Purpose
from telephony.models.trunks import Trunk


class LateReport(models.Model):
    """A carrier's report that corrected a lost delivery, and how its price was booked.

    price = captured + charged + written_off. `captured` came from the open hold and `charged` from the balance. The
    account does not pay `written_off`. There is one row for each corrected delivery. It stays when the delivery is
    pruned.
    """

    delivery = models.BigIntegerField(primary_key=True, help_text="Its id.")
    trunk = models.ForeignKey(Trunk, on_delete=models.PROTECT, related_name="+", db_index=False)
    purpose = models.CharField(max_length=10, choices=Purpose)
    batch = models.BigIntegerField()
    item = models.BigIntegerField()
    status = models.SmallIntegerField(choices=DeliveryStatus)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    captured = models.DecimalField(max_digits=10, decimal_places=2)
    charged = models.DecimalField(max_digits=10, decimal_places=2)
    written_off = models.DecimalField(max_digits=10, decimal_places=2)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [models.Index(fields=["trunk", "created_at"], name="late_report_of_trunk")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(
                    price=models.F("captured") + models.F("charged") + models.F("written_off")
                ),
                name="late_report_adds_up",
            ),
            models.CheckConstraint(
                condition=models.Q(captured__gte=0, charged__gte=0, written_off__gte=0),
                name="late_report_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"Delivery {self.delivery}: {self.get_status_display()}, late"


class PartReporting(models.Model):
    """How the carrier of a trunk reports on long SMS in parts (`telephony.engine.part_reports`)."""

    trunk = models.OneToOneField(Trunk, primary_key=True, on_delete=models.CASCADE)
    each_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When two parts of one SMS were last seen to be reported, to the hour.",
    )
    one_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when one report on a part counts for the whole SMS."
    )

    def __str__(self) -> str:
        return f"Reports on parts over {self.trunk_id}"
