from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add what duplicates, frequency caps and waves need. Each column has a default, so nothing is rewritten.

    Processes of the previous release know none of these columns. They contact everybody, whatever the rules of a run.
    """

    dependencies: ClassVar = [("campaigns", "0030_opt_out_hint")]
    operations: ClassVar = [
        migrations.AddField(
            model_name='campaign',
            name='duplicates_marked_to',
            field=models.BigIntegerField(db_default=0, default=0, help_text='The marks of duplicates are right for the recipients up to this id (`campaigns.duplicates`).'),
        ),
        migrations.AddField(
            model_name='recipient',
            name='duplicate',
            field=models.BooleanField(db_default=False, default=False, help_text='An earlier recipient of the campaign has the same number (`campaigns.duplicates`).'),
        ),
        migrations.AddField(
            model_name='recipient',
            name='left_out',
            field=models.CharField(blank=True, choices=[('duplicate', 'the same number comes earlier in the campaign'), ('frequency_cap', 'contacted often enough lately')], db_default='', default='', help_text='Why the latest run did not contact the recipient. Only valid with the status `terminated`.', max_length=13),
        ),
        migrations.AddField(
            model_name='run',
            name='after_delivery',
            field=models.BigIntegerField(db_default=0, default=0, help_text='All deliveries of this run have higher ids. 0 if the previous release has begun it.'),
        ),
        migrations.AddField(
            model_name='run',
            name='duplicate_count',
            field=models.IntegerField(db_default=0, default=0, help_text='Recipients that were left out, because their numbers are repeated.'),
        ),
        migrations.AddField(
            model_name='run',
            name='over_cap_count',
            field=models.IntegerField(db_default=0, default=0, help_text='Recipients that were left out by the frequency cap.'),
        ),
        migrations.AddField(
            model_name='run',
            name='waits_since',
            field=models.DateTimeField(blank=True, help_text='Since when it has waited until a person lets its next wave begin.', null=True),
        ),
        migrations.AddField(
            model_name='run',
            name='wave',
            field=models.SmallIntegerField(db_default=1, default=1, help_text='The number of the present wave.'),
        ),
        migrations.AddField(
            model_name='run',
            name='wave_after',
            field=models.BigIntegerField(db_default=0, default=0, help_text='The recipients of the present wave have higher ids than this.'),
        ),
        migrations.AddField(
            model_name='run',
            name='wave_room',
            field=models.IntegerField(blank=True, help_text='How many recipients it may still contact before it waits (`campaigns.runs.waves`). Empty: all.', null=True),
        ),
    ]
