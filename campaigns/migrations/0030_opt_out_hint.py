from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add to runs whether their calls offer to opt out. The column has a default, so nothing is rewritten."""

    dependencies: ClassVar = [("campaigns", "0029_audit_of_rules")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="run",
            name="offers_opt_out",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Each call ends with the hint that a key opts the recipient out.",
            ),
        ),
    ]
