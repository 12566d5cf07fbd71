"""An index of the campaigns whose tags are not measured yet: none, soon after an upgrade."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that it is built while campaigns are written
    dependencies: ClassVar = [("campaigns", "0017_spoken_sizes")]
    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="campaign",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True), ("measured", False)),
                fields=["id"],
                name="campaign_to_measure",
            ),
        ),
    ]
