"""Which deliveries stay on their trunk is said by the deliveries, and no longer by a table of one carrier.

Workers of the release before may still run: they write and read `telephony_repetition.since`. A trigger copies what they
write there. The next release can drop both.
"""

from typing import ClassVar

from django.db import migrations, models

COPY = """
CREATE FUNCTION telephony_pin_delivery() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE telephony_delivery SET pinned_since = NEW.since WHERE id = NEW.delivery_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER telephony_pin_delivery AFTER INSERT OR UPDATE OF since ON telephony_repetition
    FOR EACH ROW WHEN (NEW.since IS NOT NULL) EXECUTE FUNCTION telephony_pin_delivery();
"""
UNDO = """
DROP TRIGGER telephony_pin_delivery ON telephony_repetition;
DROP FUNCTION telephony_pin_delivery();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0016_trials"),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="delivery",
            name="pinned_since",
            field=models.DateTimeField(
                blank=True,
                help_text="Set when its carrier sends it again: it stays on its trunk, and reports count for it from then on.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="repetition",
            name="since",
            field=models.DateTimeField(
                blank=True,
                help_text="Only workers of the release before `Delivery.pinned_since` read it.",
                null=True,
            ),
        ),
        migrations.RunSQL(COPY, UNDO),
    ]
