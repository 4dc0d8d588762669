from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mail", "0001_initial"),
        ("mailboxes", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="sighting",
            index=models.Index(
                fields=["folder", "uidvalidity", "uid"],
                condition=models.Q(gone_at=None),
                name="sighting_here",
            ),
        ),
    ]
