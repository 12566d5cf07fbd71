from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """Only new tables, and a new word for the purpose of deliveries."""

    dependencies: ClassVar = [
        ('accounts', '0025_ledger_checks'),
        ('telephony', '0043_outcomes'),
    ]

    operations: ClassVar = [
        migrations.AlterField(
            model_name='delivery',
            name='purpose',
            field=models.CharField(choices=[('campaign', 'Campaign'), ('otp', 'Otp'), ('seed', 'SMS of a campaign to a seed number')], max_length=10),
        ),
        migrations.AlterField(
            model_name='latereport',
            name='purpose',
            field=models.CharField(choices=[('campaign', 'Campaign'), ('otp', 'Otp'), ('seed', 'SMS of a campaign to a seed number')], max_length=10),
        ),
        migrations.CreateModel(
            name='SeedNumber',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.CharField(help_text='In E.164.', max_length=32)),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='seed_numbers', to='accounts.account')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('owner', 'number'), name='seed_number_once')],
            },
        ),
        migrations.CreateModel(
            name='SeedSms',
            fields=[
                ('delivery', models.BigIntegerField(help_text='Its id.', primary_key=True, serialize=False)),
                ('arrived', models.BooleanField(blank=True, help_text='Empty: nobody has said yet.', null=True)),
                ('told_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.account')),
            ],
            options={
                'verbose_name_plural': 'seed SMS',
                'indexes': [models.Index(fields=['owner', '-delivery'], name='seed_sms_of_owner'), models.Index(fields=['created_at'], name='seed_sms_by_time')],
            },
        ),
    ]
