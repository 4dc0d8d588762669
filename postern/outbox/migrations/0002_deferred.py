from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("outbox", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="delivery",
            name="send_at",
            field=models.DateTimeField(
                help_text="Not before: the end of the undo window, the next attempt.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="refused",
            field=models.JSONField(
                default=list, help_text="[[address, code, text], …] of those refused for good."
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="deferred",
            field=models.JSONField(
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text="The same of those refused for now: tried again while the letter is under way, then given up.",
            ),
        ),
    ]
