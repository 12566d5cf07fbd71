from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Build the index of duplicates beside running processes, so the migration is not atomic."""

    atomic = False
    dependencies: ClassVar = [("campaigns", "0031_limits")]
    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="recipient",
            index=models.Index(
                condition=models.Q(("duplicate", True)), fields=["campaign", "id"], name="recipient_duplicate"
            ),
        ),
    ]
