from typing import ClassVar

from django.db import migrations, models

REPLACE = """
ALTER TABLE telephony_delivery DROP CONSTRAINT one_delivery_per_item_of_a_batch,
    ADD CONSTRAINT one_delivery_per_try UNIQUE USING INDEX one_delivery_per_try
"""
# Only possible while no recipient had a second try. It reads the whole table, which nobody can use meanwhile.
RESTORE = """
ALTER TABLE telephony_delivery DROP CONSTRAINT one_delivery_per_try,
    ADD CONSTRAINT one_delivery_per_item_of_a_batch UNIQUE (batch, item, channel, purpose)
"""


class Migration(migrations.Migration):
    """Let a recipient have several tries in a run, each once. The index of 0038 becomes the unique constraint in a moment.

    Processes of the previous release insert first tries only, with ON CONFLICT DO NOTHING and no target. So the new
    constraint keeps them from inserting a delivery twice, as the old one did.
    """

    dependencies: ClassVar = [("telephony", "0038_indexes_of_tries")]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(REPLACE, RESTORE)],
            state_operations=[
                migrations.RemoveConstraint(model_name="delivery", name="one_delivery_per_item_of_a_batch"),
                migrations.AddConstraint(
                    model_name="delivery",
                    constraint=models.UniqueConstraint(
                        fields=("batch", "item", "channel", "purpose", "try_number"), name="one_delivery_per_try"
                    ),
                ),
            ],
        ),
    ]
