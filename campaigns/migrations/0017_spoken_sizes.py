"""Bounds of the spoken length of each tag's values.

All new columns have constant defaults, so no row is written. The campaigns that exist are not measured yet: a worker does that in chunks
(`campaigns.recipients.measuring`), and their price is bound by the number of characters until then.
"""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("campaigns", "0016_number_column")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="campaign",
            name="spoken_sizes",
            field=models.JSONField(
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="The most seconds that a value of each tag takes to say, whatever the voice: what a call can cost is "
                "known without reading the recipients.",
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="measured_to",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="The recipients up to this id are measured in `spoken_sizes`.",
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="measured",
            field=models.BooleanField(
                db_default=False,
                default=True,
                help_text="Whether all recipients are; a worker measures those that the release before has added.",
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="call_seconds",
            field=models.FloatField(
                blank=True,
                help_text="The longest call that `call_limit` pays for; empty if the release before has begun the run.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="too_long",
            field=models.IntegerField(
                db_default=0,
                default=0,
                help_text="Calls that were not made, because their speech was longer than that.",
            ),
        ),
    ]
