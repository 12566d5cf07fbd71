from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """Rename the model `Turn` to `TimeSlice`. The table keeps its name, so that the release before works beside it."""

    dependencies = [
        ("telephony", "0019_delivery_pinned"),
    ]

    operations: ClassVar = [
        migrations.AlterModelTable(name="turn", table="telephony_turn"),
        migrations.RenameModel(old_name="Turn", new_name="TimeSlice"),
    ]
