"""An index of the recipients who were not reached: few of a campaign's, and those whom its owner looks for."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that it is built while recipients are written
    dependencies: ClassVar = [("campaigns", "0014_waiting_imports")]
    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="recipient",
            index=models.Index(
                condition=models.Q(status__gt=100), fields=["campaign", "id"], name="recipient_not_reached"
            ),
        ),
    ]
