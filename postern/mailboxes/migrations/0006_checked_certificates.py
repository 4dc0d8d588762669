import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now


def carry_on(apps, _):
    """What worked goes on: mailboxes whose certificate is not checked, and the names of servers that were found."""
    Mailbox = apps.get_model("mailboxes", "Mailbox")
    System = apps.get_model("mailboxes", "SystemEmail")
    Health = apps.get_model("mailboxes", "MailboxHealth")
    if Mailbox.objects.filter(Q(imap_skip_validation=True) | Q(smtp_skip_validation=True)).exists():
        System.objects.update_or_create(pk=1, defaults={"unchecked_certificates": True})
    for health in Health.objects.exclude(last_sync_at=None).annotate(host=Lower(F("mailbox__imap_host"))):
        Health.objects.filter(pk=health.pk).update(known_host=health.host)


class Migration(migrations.Migration):
    dependencies = [
        ("mailboxes", "0005_uploaded"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="mailboxhealth",
            name="known_host",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="IMAP server that let us in.",
                max_length=253,
            ),
        ),
        migrations.AddField(
            model_name="mailboxhealth",
            name="smtp_known_host",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="SMTP server that took a letter.",
                max_length=253,
            ),
        ),
        migrations.AddField(
            model_name="systememail",
            name="unchecked_certificates",
            field=models.BooleanField(
                default=False,
                help_text="The certificate seen first is remembered and a change stops the mailbox. Off: such mailboxes are not connected, and their owners are told.",
                verbose_name="Owners may connect to mail servers whose certificate cannot be checked",
            ),
        ),
        migrations.CreateModel(
            name="TrustLine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(db_default=Now())),
                (
                    "what",
                    models.CharField(
                        choices=[
                            ("unchecked", "Checking switched off"),
                            ("checked", "Checking switched on"),
                            ("trusted", "Another certificate trusted"),
                            ("allowed", "Unchecked certificates allowed"),
                            ("forbidden", "Unchecked certificates no longer allowed"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "server",
                    models.CharField(blank=True, help_text="Host and port at that moment.", max_length=270),
                ),
                ("sha256", models.CharField(blank=True, help_text="The certificate trusted.", max_length=64)),
                (
                    "former_sha256",
                    models.CharField(blank=True, help_text="The one remembered before.", max_length=64),
                ),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "mailbox",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="mailboxes.mailbox",
                    ),
                ),
            ],
            options={"ordering": ["-pk"]},
        ),
        migrations.RunPython(carry_on, migrations.RunPython.noop, elidable=True),
    ]
