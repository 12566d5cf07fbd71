import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """Only sets a default, so it changes no row. Processes of the previous release go on sending their own time."""

    dependencies = [
        ('accounts', '0028_api_requests'),
    ]

    operations = [
        migrations.AlterField(
            model_name='creditentry',
            name='created_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
    ]
