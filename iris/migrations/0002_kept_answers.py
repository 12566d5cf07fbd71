import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("iris", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="KeptAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("owner_id", models.BigIntegerField(help_text="The account that sent the request.")),
                ("key", models.CharField(db_collation="C", help_text="A hash of the key.", max_length=32)),
                ("fingerprint", models.CharField(help_text="A hash of the request.", max_length=64)),
                (
                    "begun_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True),
                ),
                ("done_at", models.DateTimeField(null=True)),
                ("status", models.SmallIntegerField(help_text="The HTTP status of the answer.", null=True)),
                ("headers", models.JSONField(default=dict)),
                ("body", models.BinaryField(null=True)),
                (
                    "erase_at",
                    models.DateTimeField(help_text="When the body is erased, if before the row.", null=True),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("erase_at__isnull", False)),
                        fields=["erase_at"],
                        name="iris_keptanswer_erasable",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("owner_id", "key"), name="iris_keptanswer_once")
                ],
            },
        ),
    ]
