import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0005_campaigns_of_recipients"),
        ("telephony", "0008_useful_until"),
    ]

    operations = [
        migrations.AddField(
            model_name="surveyanswer",
            name="audio",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="What was said. It is kept as long as this answer.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="telephony.audio",
            ),
        ),
        migrations.AddIndex(
            model_name="surveyanswer",
            index=models.Index(
                condition=models.Q(("audio__isnull", False)), fields=["audio"], name="answers_spoken"
            ),
        ),
    ]
