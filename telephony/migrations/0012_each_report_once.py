from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0011_told_numbers"),
    ]

    operations = [
        migrations.RunSQL(
            """DELETE FROM telephony_unmatchedreport late USING telephony_unmatchedreport early
                WHERE late.ref <> '' AND late.id > early.id AND late.trunk_id = early.trunk_id
                  AND (late.ref, late.number, late.status) = (early.ref, early.number, early.status)""",
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name="unmatchedreport",
            constraint=models.UniqueConstraint(
                fields=["trunk", "ref", "number", "status"],
                condition=models.Q(("ref", ""), _negated=True),
                name="each_unmatched_report_once",
            ),
        ),
        migrations.RenameField(model_name="repetition", old_name="first_at", new_name="since"),
        migrations.AlterField(
            model_name="repetition",
            name="since",
            field=models.DateTimeField(
                help_text="When it was sent last, as far as known; what is reported later is about that."
            ),
        ),
    ]
