import django.db.models.deletion
from django.db import migrations, models

# Outgoing messages by mailbox and recipient, for app.sent_to: {"mailbox": ["address", ...]}. Without a list of what is
# pending, which every search would read from end to end.
INDEX = """
CREATE INDEX message_recipients ON mail_message USING gin (
  jsonb_set('{}', ARRAY[mailbox_id::text], jsonb_path_query_array("to" || cc, '$[*][1]')) jsonb_path_ops)
  WITH (fastupdate = off) WHERE outgoing
"""


class Migration(migrations.Migration):
    dependencies = [("mail", "0001_initial")]

    operations = [
        migrations.RunSQL(INDEX, "DROP INDEX message_recipients"),
        migrations.AlterField(
            model_name="party",
            name="customer",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="people.customer",
            ),
        ),
        migrations.AddIndex(
            model_name="party",
            index=models.Index(fields=["customer", "mailbox"], name="party_customer"),
        ),
    ]
