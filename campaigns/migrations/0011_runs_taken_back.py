from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0010_when_recipients_changed"),
    ]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="status",
            field=models.CharField(
                choices=[
                    ("scheduled", "Scheduled"),
                    ("running", "Running"),
                    ("paused", "Paused"),
                    ("stopping", "stopping: waits for what is in flight"),
                    ("completed", "Completed"),
                    ("terminated", "Terminated"),
                    ("withdrawn", "taken back before its time"),
                ],
                max_length=10,
            ),
        ),
        # Those that were taken back, and not stopped, had nothing to do: their time had not come.
        migrations.RunSQL(
            """UPDATE campaigns_run SET status = 'withdrawn'
                WHERE status = 'terminated' AND cursor = 0 AND finished_at < starts_at AND filled_at = finished_at""",
            migrations.RunSQL.noop,
        ),
    ]
