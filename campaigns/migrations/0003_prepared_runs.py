from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0002_kept_plans'),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='prepared_at',
            field=models.DateTimeField(blank=True, help_text='When the last of it was spoken.', null=True),
        ),
        migrations.AddField(
            model_name='run',
            name='prepared_to',
            field=models.BigIntegerField(default=0, help_text='What is said to all recipients up to this id was spoken before the run began.'),
        ),
    ]
