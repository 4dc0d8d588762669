from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0003_one_time_until"),
    ]

    operations = [
        migrations.AlterField(
            model_name="token",
            name="digest",
            field=models.CharField(db_index=True, max_length=64),
        ),
        migrations.AddConstraint(
            model_name="token",
            constraint=models.UniqueConstraint(fields=("staff", "digest"), name="token_once"),
        ),
    ]
