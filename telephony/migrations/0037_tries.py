from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add what retries, pauses and calling hours need to deliveries. Each column has a default, so nothing is rewritten.

    Processes of the previous release know none of these columns. Their deliveries are first tries without hours. They
    pause a delivery as this release does, with an infinite `not_before`, so none of them dials what this release paused.
    """

    dependencies: ClassVar = [("telephony", "0036_senders_of_deliveries")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="delivery",
            name="try_number",
            field=models.SmallIntegerField(
                db_default=1,
                default=1,
                help_text="1 for the first try to reach the recipient; retries count on.",
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="tries_reserved",
            field=models.SmallIntegerField(
                db_default=0,
                default=0,
                help_text="How many further tries may cost credits. Each can cost as much as this one, and the hold pays for all.",
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="retried",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Another try follows it, so its end is not the outcome.",
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="due_at",
            field=models.DateTimeField(
                blank=True,
                help_text="While the run is paused: what `not_before` was, and will be again.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="not_after",
            field=models.DateTimeField(
                blank=True,
                help_text="Not submitted after this time, because the calling hours end. It then waits for the next ones.",
                null=True,
            ),
        ),
    ]
