import django.contrib.postgres.fields
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('telephony', '0003_smpp_and_opt_outs'),
    ]

    operations = [
        migrations.CreateModel(
            name='Voice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='What iris calls it, such as np_rija.', max_length=50, unique=True)),
                ('api_name', models.CharField(help_text='What callers of the API call it; a premium voice may share it with a plain one.', max_length=50)),
                ('display', models.CharField(max_length=100)),
                ('language', models.CharField(default='ne', help_text='Two letters, such as ne or en.', max_length=10)),
                ('engine', models.CharField(blank=True, choices=[('', 'as in the settings'), ('espeak', 'Espeak'), ('piper', 'Piper')], max_length=10)),
                ('options', models.JSONField(blank=True, default=dict, help_text='espeak: {"variant": "f2", "pitch": 50, "speed": 150}. piper: {"model": "ne_NP-google-medium.onnx", "speaker": 3, "speed": 1.0}.')),
                ('is_premium', models.BooleanField(default=False)),
                ('enabled', models.BooleanField(default=True, help_text='What is not enabled is offered to nobody.')),
                ('order', models.SmallIntegerField(default=100, help_text='Lower is listed first.')),
            ],
            options={
                'ordering': ['order', 'id'],
            },
        ),
        migrations.AddField(
            model_name='audio',
            name='parts',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), blank=True, db_default=[], default=list, help_text='Names of fragments.', size=None),
        ),
        migrations.AddField(
            model_name='audio',
            name='pruned_at',
            field=models.DateTimeField(blank=True, help_text='Its files were removed (manage.py prune_audio); made again when asked for.', null=True),
        ),
        migrations.AddField(
            model_name='audio',
            name='used_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='When it was last asked for, to the day.'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('audio__isnull', False)), fields=['audio'], name='delivery_of_audio'),
        ),
    ]
