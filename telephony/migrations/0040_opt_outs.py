import django.db.models.functions.datetime
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
    ("blocked", "blocked by the operator"),
    ("lost", "never reported"),
    ("expired", "too late to be of use"),
    ("too_long", "longer than the credits that are held for it"),
    ("no_price", "its destination has no price"),
    ("no_sender", "no sender is approved for its destination"),
    ("stopped", "stopped by its owner"),
]


class Migration(migrations.Migration):
    """Add channel, way and evidence to opt-outs, and the operator's list of blocked numbers.

    Each column has a default, so nothing is rewritten. Processes of the previous release list numbers for both channels,
    and reject both channels of every listed number.
    """

    dependencies: ClassVar = [("telephony", "0039_one_delivery_per_try")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="optout",
            name="channel",
            field=models.CharField(
                blank=True,
                choices=[("call", "Call"), ("sms", "Sms")],
                db_default="",
                default="",
                help_text="Empty: both calls and SMS.",
                max_length=4,
            ),
        ),
        migrations.AddField(
            model_name="optout",
            name="way",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "unknown"),
                    ("keyword", "a keyword in an SMS"),
                    ("key", "a key pressed in a call"),
                    ("api", "a program"),
                    ("person", "a member of the account"),
                    ("import", "a file"),
                ],
                db_default="",
                default="",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="optout",
            name="evidence",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="The ids of what proves it: the SMS, the call, or the person.",
            ),
        ),
        migrations.CreateModel(
            name="BlockedNumber",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.CharField(help_text="E.164.", max_length=32, unique=True)),
                ("also_otps", models.BooleanField(default=False, help_text="OTPs are blocked, too.")),
                ("reason", models.CharField(blank=True, help_text="Only operators see it.", max_length=200)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
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
