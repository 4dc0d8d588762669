from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0004_goes_on_at")]

    operations = [
        migrations.AddField(
            model_name="mailboxhealth",
            name="uploaded",
            field=models.JSONField(
                default=dict,
                db_default=models.Value({}, models.JSONField()),
                help_text="The same of what was appended there.",
            ),
        ),
    ]
