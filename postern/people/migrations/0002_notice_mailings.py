from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="notice",
            name="mailings",
            field=models.PositiveSmallIntegerField(
                db_default=0,
                default=0,
                help_text="Attempts that may have arrived, each counted before its first byte.",
            ),
        ),
        migrations.AddField(
            model_name="notice",
            name="message_id",
            field=models.CharField(
                db_default="",
                default="",
                help_text="Of the e-mail: the same at each attempt.",
                max_length=200,
            ),
        ),
    ]
