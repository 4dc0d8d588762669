from django.db import migrations, models

# Of who was to choose another password when this came: their one-time password gets the time of a new one.
_FROM_NOW = (
    """UPDATE people_staff SET one_time_until = now() + interval '72 hours' WHERE must_change_password"""
)


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0002_notice_mailings"),
    ]

    operations = [
        migrations.AddField(
            model_name="staff",
            name="one_time_until",
            field=models.DateTimeField(
                help_text="When the password that somebody else knows ends. Says nothing once it is another.",
                null=True,
            ),
        ),
        migrations.RunSQL(_FROM_NOW, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="staff",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("must_change_password", False),
                    ("one_time_until__isnull", False),
                    _connector="OR",
                ),
                name="one_time_password_ends",
            ),
        ),
    ]
