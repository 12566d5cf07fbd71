from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Let deliveries of urgent runs pass opt-outs. The column has a default, so nothing is rewritten.

    Claims of the previous release do not know it: they refuse such a delivery to a recipient who has opted out.
    """

    dependencies: ClassVar = [("telephony", "0045_inbound_of_owner")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="delivery",
            name="past_opt_outs",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="It also reaches a recipient who has opted out.",
            ),
        ),
    ]
