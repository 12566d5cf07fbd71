from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('telephony', '0005_scripts'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('purpose', 'otp')), fields=['owner', 'created_at'], name='delivery_of_otps'),
        ),
    ]
