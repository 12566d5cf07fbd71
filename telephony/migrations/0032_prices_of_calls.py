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
    ("stopped", "stopped by its owner"),
]


class Migration(migrations.Migration):
    """The price of each call. Those that the previous release queues have none: then the settings count."""

    dependencies: ClassVar = [("telephony", "0031_tariffs")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="delivery",
            name="pulse_credits",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="Price of a pulse of this call, in credits. Empty: what the settings say when the call ends.",
                max_digits=12,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="pulse_seconds",
            field=models.IntegerField(
                blank=True, help_text="Length of a pulse of this call, in seconds.", null=True
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
