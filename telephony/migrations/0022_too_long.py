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
    ("stopped", "stopped by its owner"),
]


class Migration(migrations.Migration):
    """Name the cause of calls that would cost more than is held for them. The database does not change."""

    dependencies: ClassVar = [("telephony", "0021_last_departures")]
    operations: ClassVar = [
        migrations.AlterField(
            model_name=model,
            name="cause",
            field=models.CharField(blank=True, choices=CAUSES, max_length=12),
        )
        for model in ("delivery", "unmatchedreport")
    ]
