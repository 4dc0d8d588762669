from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("mail", "0002_recipients")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="emailid",
            field=models.CharField(
                max_length=255,
                blank=True,
                db_default="",
                help_text="The server's own name of the content, the same in each of its folders (Gmail's X-GM-MSGID), or ''.",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                fields=["mailbox", "emailid"], condition=Q(emailid__gt=""), name="message_emailid"
            ),
        ),
    ]
