from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0003_exists_unknown")]

    operations = [
        migrations.AddField(
            model_name="mailboxhealth",
            name="goes_on_at",
            field=models.DateTimeField(help_text="When what rests (history_rests) goes on.", null=True),
        ),
    ]
