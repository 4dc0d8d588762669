from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mail", "0003_emailid"),
        ("mailboxes", "0002_downloaded"),
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
