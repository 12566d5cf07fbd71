from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('telephony', '0004_voices'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='script',
            field=models.JSONField(blank=True, help_text='The steps of a call that asks something (`telephony.call_scripts`).', null=True),
        ),
        migrations.AddField(
            model_name='sandboxmessage',
            name='script',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
