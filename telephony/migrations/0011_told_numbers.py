from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0010_smpp_records"),
    ]

    operations = [
        migrations.AddField(
            model_name="bind",
            name="tells_numbers",
            field=models.BooleanField(
                help_text="Whether the latest receipts about known SMS named their numbers; empty until one has come.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="unmatchedreport",
            index=models.Index(fields=["trunk", "number"], name="unmatched_number"),
        ),
    ]
