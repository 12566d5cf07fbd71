from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0006_spoken_answers"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="trial",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Tried on one recipient: neither the campaign nor the recipient shows that it ran, only what it cost.",
            ),
        ),
    ]
