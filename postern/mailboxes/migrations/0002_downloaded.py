from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="mailboxhealth",
            name="downloaded",
            field=models.JSONField(
                default=dict,
                db_default=models.Value({}, models.JSONField()),
                help_text="Bytes by hour (since 1970) of the last day, where the provider allows so many a day.",
            ),
        ),
    ]
