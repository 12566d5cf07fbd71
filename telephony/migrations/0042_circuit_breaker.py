from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Only new tables, and new columns with database defaults, so processes of the previous release keep working."""

    dependencies: ClassVar = [("telephony", "0041_opt_outs_of_owner")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="trunk",
            name="canary",
            field=models.BigIntegerField(
                blank=True, help_text="The delivery with which the paused trunk is tried.", null=True
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="claimed",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="Calls and SMS that were claimed so far, repeated attempts included.",
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="cps",
            field=models.FloatField(
                blank=True,
                help_text="Calls or SMS per second, set at run time. Empty: the CPS of the carriers file.",
                null=True,
                verbose_name="pace",
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="failing_since",
            field=models.DateTimeField(
                blank=True, help_text="When the first of these rests began.", null=True
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="pause_cause",
            field=models.CharField(
                blank=True,
                choices=[
                    ("operator", "by an operator"),
                    ("misconfigured", "wrong configuration"),
                    ("funds", "no credit at the carrier"),
                    ("errors", "nothing is accepted"),
                    ("silence", "no reports"),
                ],
                db_default="",
                default="",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="trunk", name="paused_at", field=models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="trunk",
            name="probe_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When a paused trunk is tried with one call or SMS. Empty: never.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="probes",
            field=models.SmallIntegerField(
                db_default=0, default=0, help_text="How often it was tried since the pause."
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="reported_at",
            field=models.DateTimeField(
                blank=True, help_text="When the last final report came, to some seconds.", null=True
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="rested_at",
            field=models.DateTimeField(blank=True, help_text="When the last rest began.", null=True),
        ),
        migrations.AddField(
            model_name="trunk",
            name="rests",
            field=models.SmallIntegerField(
                db_default=0, default=0, help_text="Rests in a row in which the trunk accepted nothing."
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="told_at",
            field=models.DateTimeField(
                blank=True, help_text="When operators were last told that it is paused.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="trunk",
            name="pause_reason",
            field=models.CharField(
                blank=True, help_text="Empty if the trunk neither rests nor is paused.", max_length=200
            ),
        ),
        migrations.AlterField(
            model_name="trunk",
            name="paused_until",
            field=models.DateTimeField(
                blank=True, help_text="End of the rest. Empty if the trunk is paused.", null=True
            ),
        ),
    ]
