from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("telephony", "0006_deliveries_of_otps")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="digits",
            field=models.CharField(
                blank=True, db_default="", help_text="The keys that were pressed in the call.", max_length=64
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="session",
            field=models.CharField(
                blank=True,
                help_text="What its worker last said of its connection, if it keeps one.",
                max_length=200,
            ),
        ),
        migrations.AddField(
            model_name="trunk",
            name="session_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
