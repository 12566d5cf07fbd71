from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

ADD = """
ALTER TABLE campaigns_sheetimport ADD COLUMN contact_list_id bigint NULL;
ALTER TABLE campaigns_sheetimport ADD CONSTRAINT campaigns_sheetimport_list FOREIGN KEY (contact_list_id)
    REFERENCES campaigns_contactlist (id) DEFERRABLE INITIALLY DEFERRED NOT VALID;
ALTER TABLE campaigns_campaign ADD COLUMN text_version_id bigint NULL;
ALTER TABLE campaigns_campaign ADD CONSTRAINT campaigns_campaign_version FOREIGN KEY (text_version_id)
    REFERENCES campaigns_textversion (id) DEFERRABLE INITIALLY DEFERRED NOT VALID;
"""
REMOVE = """
ALTER TABLE campaigns_campaign DROP COLUMN text_version_id;
ALTER TABLE campaigns_sheetimport DROP COLUMN contact_list_id;
"""


class Migration(migrations.Migration):
    """Sheets can be imported into lists, and campaigns refer to versions of templates. 0038 validates the keys."""

    dependencies: ClassVar = [("campaigns", "0036_lists_and_templates")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="sheetimport",
            name="campaign",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="imports",
                to="campaigns.campaign",
            ),
        ),
        migrations.AlterField(
            model_name="sheetimport",
            name="after",
            field=models.BigIntegerField(help_text="Id of the last recipient or contact before this import."),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(ADD, REMOVE)],
            state_operations=[
                migrations.AddField(
                    model_name="sheetimport",
                    name="contact_list",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="imports",
                        to="campaigns.contactlist",
                    ),
                ),
                migrations.AddField(
                    model_name="campaign",
                    name="text_version",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="The version of a text template from which the campaign got its words.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="campaigns",
                        to="campaigns.textversion",
                    ),
                ),
            ],
        ),
    ]
