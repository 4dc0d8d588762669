from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mailboxes", "0002_downloaded"),
    ]

    operations = [
        migrations.AlterField(
            model_name="folder",
            name="exists",
            field=models.PositiveIntegerField(
                default=0,
                help_text="How many letters the ledger explains; null while letters are coming in.",
                null=True,
            ),
        ),
    ]
