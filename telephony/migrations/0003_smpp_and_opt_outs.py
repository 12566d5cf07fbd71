import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

STATUSES = [
    (0, 'Queued'), (10, 'Submitting'), (20, 'Unknown'), (30, 'Submitted'), (40, 'Ringing'), (50, 'Answered'),
    (100, 'Completed'), (101, 'Hungup'), (102, 'Unanswered'), (103, 'Failed'), (104, 'Terminated'),
]
CAUSES = [
    ('', '–'), ('busy', 'Busy'), ('no_answer', 'No Answer'), ('cut_off', 'Cut Off'), ('invalid', 'invalid number'),
    ('refused', 'refused by the carrier'), ('opted_out', 'Opted Out'), ('lost', 'never reported'),
    ('expired', 'too late to be of use'), ('stopped', 'stopped by its owner'),
]


class Migration(migrations.Migration):

    dependencies = [
        ('telephony', '0002_delivery_owner_index'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='MessagePart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ref', models.CharField(help_text="The carrier's id of it.", max_length=100)),
                ('delivered', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('delivery', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='telephony.delivery')),
                ('trunk', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='telephony.trunk')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('trunk', 'ref', 'delivery'), name='each_part_once')],
            },
        ),
        migrations.CreateModel(
            name='UnmatchedReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ref', models.CharField(blank=True, max_length=100)),
                ('number', models.CharField(blank=True, help_text='Whom it is about, in E.164.', max_length=32)),
                ('status', models.SmallIntegerField(choices=STATUSES)),
                ('cause', models.CharField(blank=True, choices=CAUSES, max_length=12)),
                ('carrier_text', models.CharField(blank=True, max_length=200)),
                ('at', models.DateTimeField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('trunk', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='telephony.trunk')),
            ],
            options={
                'indexes': [models.Index(fields=['trunk', 'ref'], name='unmatched_ref')],
            },
        ),
        migrations.CreateModel(
            name='InboundMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sender', models.CharField(help_text='E.164 where it is a phone number.', max_length=32)),
                ('to', models.CharField(blank=True, max_length=32)),
                ('text', models.TextField(blank=True)),
                ('received_at', models.DateTimeField()),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('trunk', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='telephony.trunk')),
            ],
            options={
                'indexes': [models.Index(fields=['sender', '-id'], name='inbound_sender')],
            },
        ),
        migrations.CreateModel(
            name='OptOut',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.CharField(help_text='E.164.', max_length=32)),
                ('source', models.CharField(blank=True, help_text='What they wrote, or who noted it.', max_length=200)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='opt_outs', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('owner', 'number'), name='one_opt_out_per_number')],
            },
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['to', '-id'], name='delivery_to'),
        ),
    ]
