from typing import Any, ClassVar

from django.db import migrations, models


def added(name: str, field: models.Field[Any, Any]) -> migrations.AddField:
    return migrations.AddField(model_name="account", name=name, field=field)


def text(most: int, help_text: str) -> models.CharField[str, str]:
    return models.CharField(max_length=most, blank=True, default="", db_default="", help_text=help_text)


def days(help_text: str) -> models.PositiveSmallIntegerField[int | None, int | None]:
    return models.PositiveSmallIntegerField(null=True, blank=True, help_text=help_text)


class Migration(migrations.Migration):
    """Add the settings of accounts. Each column has a default in the database, so nothing is rewritten."""

    dependencies: ClassVar = [("accounts", "0013_audit_of_sign_in")]
    operations: ClassVar = [
        added(
            "time_zone",
            text(64, "IANA name of the zone in which the API reads and writes times. Empty: the zone of the server."),
        ),
        added(
            "language",
            models.CharField(
                max_length=2,
                choices=[("ne", "Nepali"), ("en", "English")],
                default="ne",
                db_default="ne",
                help_text="The language of the voice that speaks if no voice is chosen.",
            ),
        ),
        added("default_voice", text(50, "For campaigns that name no voice.")),
        added(
            "default_caller",
            text(32, "The phone number of the account from which campaigns call that name none."),
        ),
        added("default_services", text(6, "For new campaigns that name no services: call, sms or both.")),
        added(
            "default_spending_limit",
            models.DecimalField(
                max_digits=10,
                decimal_places=2,
                null=True,
                blank=True,
                help_text="For new campaigns that name no limit: the most credits that a run may hold and spend.",
            ),
        ),
        added(
            "announce_recording",
            models.BooleanField(
                default=False,
                db_default=False,
                help_text="Calls that record spoken answers say so at their beginning.",
            ),
        ),
        added(
            "keep_messages_days",
            days("Calls, SMS, OTPs and the inbox are erased this many days after they ended. Empty: kept."),
        ),
        added(
            "keep_recordings_days",
            days("Recorded answers are erased this many days after the call. Empty: kept."),
        ),
        added(
            "keep_recipients_days",
            days("Numbers and tags of recipients are erased this many days after their campaign ended. Empty: kept."),
        ),
    ]
