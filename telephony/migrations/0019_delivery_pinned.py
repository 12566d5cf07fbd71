from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("telephony", "0018_pin_deliveries"),
    ]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("pinned_since__isnull", False), ("status__lt", 100)),
                fields=["trunk"],
                name="delivery_pinned",
            ),
        ),
    ]
