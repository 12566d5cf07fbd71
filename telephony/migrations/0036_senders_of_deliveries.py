from typing import ClassVar

from django.db import migrations, models

CAUSES = [
    ("", "–"),
    ("busy", "Busy"),
    ("no_answer", "No Answer"),
    ("cut_off", "Cut Off"),
    ("invalid", "invalid number"),
    ("refused", "refused by the carrier"),
    ("opted_out", "Opted Out"),
    ("lost", "never reported"),
    ("expired", "too late to be of use"),
    ("too_long", "longer than the credits that are held for it"),
    ("no_price", "its destination has no price"),
    ("no_sender", "no sender is approved for its destination"),
    ("stopped", "stopped by its owner"),
]


class Migration(migrations.Migration):
    """The approved sender of each SMS. Those that the previous release queues have none: then the trunk decides."""

    dependencies: ClassVar = [("telephony", "0035_senders")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="delivery",
            name="sender",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The approved sender of this SMS. Empty: the trunk's own sender, or the caller.",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="cause",
            field=models.CharField(blank=True, choices=CAUSES, max_length=12),
        ),
        migrations.AlterField(
            model_name="unmatchedreport",
            name="cause",
            field=models.CharField(blank=True, choices=CAUSES, max_length=12),
        ),
    ]
