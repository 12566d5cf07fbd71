from django.db import migrations, models

# Managed services may not let an application ask these: then the other marks have to do.
MARKS = """
CREATE FUNCTION telephony_marks(
    OUT system_identifier bigint, OUT timeline bigint, OUT database_oid bigint, OUT guard_oid bigint,
    OUT delivery_oid bigint, OUT anchor_xmin bigint
) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        system_identifier := (SELECT s.system_identifier FROM pg_control_system() s);
    EXCEPTION WHEN OTHERS THEN
        system_identifier := NULL;
    END;
    BEGIN
        -- The control file learns of a new timeline only at the checkpoint after the recovery; this knows it at once.
        timeline := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint;
    EXCEPTION WHEN OTHERS THEN
        timeline := NULL;
    END;
    database_oid := (SELECT oid FROM pg_database WHERE datname = current_database());
    guard_oid := to_regclass('telephony_restoreguard')::oid;
    delivery_oid := to_regclass('telephony_delivery')::oid;
    anchor_xmin := (SELECT min(xmin::text::bigint) FROM telephony_restoreanchor);
END $$
"""

# In the transaction that makes the tables: new code never sees them empty. When they are emptied, `post_migrate` does it.
ADOPT = """
INSERT INTO telephony_restoreanchor DEFAULT VALUES;
INSERT INTO telephony_restoreguard
       (id, adopted_at, beats, reason,
        system_identifier, timeline, database_oid, guard_oid, delivery_oid, anchor_xmin)
SELECT 1, clock_timestamp(), 0, '',
       system_identifier, timeline, database_oid, guard_oid, delivery_oid, anchor_xmin FROM telephony_marks();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0013_pace_notes"),
    ]

    operations = [
        migrations.CreateModel(
            name="RestoreAnchor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RestoreGuard",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "system_identifier",
                    models.BigIntegerField(
                        blank=True, help_text="Of the PostgreSQL server; empty if it does not say.", null=True
                    ),
                ),
                (
                    "timeline",
                    models.BigIntegerField(
                        blank=True, help_text="Of its write-ahead log; likewise.", null=True
                    ),
                ),
                ("database_oid", models.BigIntegerField()),
                ("guard_oid", models.BigIntegerField(help_text="Of this table.")),
                ("delivery_oid", models.BigIntegerField(help_text="Of the table of deliveries.")),
                (
                    "anchor_xmin",
                    models.BigIntegerField(help_text="The transaction that wrote the anchor's row."),
                ),
                ("adopted_at", models.DateTimeField(help_text="When these marks were taken.")),
                (
                    "beats",
                    models.BigIntegerField(
                        default=0,
                        help_text="Raised by each tick. Workers remember it: it never falls, unless data were lost.",
                    ),
                ),
                (
                    "held_since",
                    models.DateTimeField(blank=True, help_text="Nothing leaves from then on.", null=True),
                ),
                ("reason", models.CharField(blank=True, max_length=300)),
                (
                    "set_aside_at",
                    models.DateTimeField(blank=True, help_text="When the runs had been paused.", null=True),
                ),
                (
                    "restored_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the last hold ended. What was claimed before is never queued again.",
                        null=True,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="one_restore_guard")
                ],
            },
        ),
        migrations.RunSQL(MARKS, "DROP FUNCTION telephony_marks()"),
        migrations.RunSQL(ADOPT, migrations.RunSQL.noop),
    ]
