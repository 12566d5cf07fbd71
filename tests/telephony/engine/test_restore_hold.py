"""Restored backups are detected, and ordinary changes of a database are not mistaken for them. Uses PostgreSQL's tools."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker, Settings

from iris.devserver.embedded import keeper, server
from telephony.engine import restore_hold, restore_witness

pytestmark = pytest.mark.django_db  # the cluster starts with a dump of the test database

UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
ADOPT = """UPDATE telephony_restoreguard g
              SET (system_identifier, timeline, database_oid, guard_oid, delivery_oid, anchor_xmin, adopted_at)
                = (SELECT m.*, clock_timestamp() FROM telephony_marks() m)"""


class Cluster:
    """A separate PostgreSQL server."""

    def __init__(self, home: Path, **configuration: str) -> None:
        self.folder = server.folder_of(home)
        self.configuration = {**UNSAFE, **configuration}
        self.start()

    def start(self) -> None:
        self.host = server.join(self.folder, "iris", self.configuration)

    def stop(self) -> None:
        server.leave(self.folder, wait=True)

    def crash(self) -> None:
        """Kill PostgreSQL and start it again."""
        os.kill(int((self.folder / "data/postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        server.leave(self.folder, wait=True)
        self.start()

    def sql(self, statement: str, *, database: str = "iris") -> None:
        with psycopg.connect(
            host=self.host, user=keeper.SUPERUSER, dbname=database, autocommit=True
        ) as session:
            session.execute(statement.encode())

    def tool(self, name: str, *arguments: str) -> None:
        run_tool(name, f"--host={self.host}", f"--username={keeper.SUPERUSER}", *arguments)

    def make_original(self, name: str) -> str:
        """Create a database with iris's tables and with its own marks; return its name."""
        self.sql(f"CREATE DATABASE {name} TEMPLATE iris")
        self.sql(ADOPT, database=name)
        return name

    def hold_reason(self, database: str = "iris", *, user: str = keeper.SUPERUSER) -> str:
        """Return why an iris process on this database holds all deliveries; an empty string if it does not."""
        where = {"HOST": self.host, "NAME": database, "USER": user, "PASSWORD": "", "PORT": ""}
        wrapper = DatabaseWrapper({**connections.settings["default"], **where})
        try:
            with mock.patch.object(restore_hold, "connection", wrapper):
                hold = restore_hold.hold()
        finally:
            wrapper.close()
        return hold.reason if hold else ""


def run_tool(name: str, *arguments: str) -> None:
    done = subprocess.run([server.programs() / name, *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def cluster(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Start a cluster and restore a dump of the test database in it, which is a restored backup there."""
    home = tmp_path_factory.mktemp("cluster")
    ours: dict[str, Any] = connection.settings_dict
    with django_db_blocker.unblock():
        made = Cluster(home)
        try:
            dump = str(home / "dump")
            where = [f"--host={ours['HOST']}", f"--username={ours['USER']}"]
            run_tool("pg_dump", *where, "--format=custom", f"--file={dump}", str(ours["NAME"]))
            made.tool("pg_restore", "--dbname=iris", "--no-owner", dump)
            yield made
        finally:
            made.stop()


def copy_of_files(cluster: Cluster, home: Path, *, recover: bool = False) -> None:
    """Copy the cluster's files into the IRIS_HOME `home`, as a physical backup does."""
    folder = server.folder_of(home)
    folder.mkdir(parents=True)
    data = folder / "data"
    cluster.tool("pg_basebackup", f"--pgdata={data}", "--checkpoint=fast", "--no-sync", "--wal-method=stream")
    if recover:
        (data / "recovery.signal").touch()
    if os.geteuid() == 0:
        for name in [data, *data.rglob("*")]:
            shutil.chown(name, keeper.NOBODY, keeper.NOBODY)


def test_dump_restored_on_another_server_is_detected(cluster: Cluster) -> None:
    assert restore_hold.SOMETIMES_UNKNOWN["system_identifier"] in cluster.hold_reason()
    assert restore_hold.ALWAYS_KNOWN["anchor_xmin"] in cluster.hold_reason()


def test_dump_restored_over_its_own_database_is_detected(cluster: Cluster, tmp_path: Path) -> None:
    database = cluster.make_original("restored_over")
    assert cluster.hold_reason(database) == ""
    dump = str(tmp_path / "dump")
    cluster.tool("pg_dump", "--format=custom", f"--file={dump}", database)

    cluster.tool("pg_restore", "--clean", "--if-exists", f"--dbname={database}", dump)

    assert restore_hold.ALWAYS_KNOWN["guard_oid"] in cluster.hold_reason(database)


def test_data_only_dump_restored_into_existing_tables_is_detected(cluster: Cluster, tmp_path: Path) -> None:
    database = cluster.make_original("data_alone")
    dump = str(tmp_path / "dump")
    cluster.tool("pg_dump", "--data-only", "--format=custom", f"--file={dump}", database)
    cluster.sql(
        """DO $$ DECLARE tables text; BEGIN
               SELECT string_agg(quote_ident(relname), ', ') INTO tables FROM pg_stat_user_tables;
               EXECUTE 'TRUNCATE ' || tables; END $$""",
        database=database,
    )
    assert cluster.hold_reason(database) == restore_hold.NO_GUARD

    cluster.tool("pg_restore", "--data-only", "--disable-triggers", f"--dbname={database}", dump)

    assert cluster.hold_reason(database) == restore_hold.ALWAYS_KNOWN["anchor_xmin"]


def test_template_copy_with_the_originals_name_is_detected(cluster: Cluster) -> None:
    database = cluster.make_original("by_template")
    cluster.sql(f"CREATE DATABASE backup TEMPLATE {database}")
    cluster.sql(f"ALTER DATABASE {database} RENAME TO before")
    cluster.sql(f"ALTER DATABASE backup RENAME TO {database}")

    assert cluster.hold_reason(database) == restore_hold.ALWAYS_KNOWN["database_oid"]
    assert cluster.hold_reason("before") == ""


def test_maintenance_restarts_and_crashes_hold_nothing(cluster: Cluster) -> None:
    database = cluster.make_original("everyday")

    for statement in (
        "VACUUM (FULL, FREEZE, ANALYZE)",
        "VACUUM (FREEZE)",
        "REINDEX DATABASE everyday",
        "ANALYZE",
    ):
        cluster.sql(statement, database=database)
        assert cluster.hold_reason(database) == "", statement
    cluster.sql("ALTER DATABASE everyday RENAME TO another_name")
    assert cluster.hold_reason("another_name") == ""
    cluster.stop()
    cluster.start()
    assert cluster.hold_reason("another_name") == "", "after a restart of PostgreSQL"
    cluster.crash()
    assert cluster.hold_reason("another_name") == "", "after a crash of PostgreSQL"


def test_other_marks_detect_a_copy_when_the_server_hides_its_identifier(cluster: Cluster) -> None:
    database = cluster.make_original("managed")
    cluster.sql(
        """CREATE ROLE managed LOGIN; GRANT pg_read_all_data TO managed;
           REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public;
           REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM public""",
        database=database,
    )

    assert cluster.hold_reason(database, user="managed") == ""

    cluster.sql(f"CREATE DATABASE managed_copy TEMPLATE {database}")
    assert cluster.hold_reason("managed_copy", user="managed") == restore_hold.ALWAYS_KNOWN["database_oid"]


def test_point_in_time_recovery_is_detected(cluster: Cluster, tmp_path: Path) -> None:
    database = cluster.make_original("recovered")
    copy_of_files(cluster, tmp_path, recover=True)
    recovered = Cluster(
        tmp_path,
        restore_command="false",
        recovery_target="immediate",
        recovery_target_action="promote",
        hot_standby="off",  # it accepts connections only after the recovery
    )
    try:
        assert recovered.hold_reason(database) == restore_hold.SOMETIMES_UNKNOWN["timeline"]
        recovered.sql(ADOPT, database=database)
        assert recovered.hold_reason(database) == ""
    finally:
        recovered.stop()


def test_copy_of_the_files_is_detected_by_a_machine_that_saw_a_later_state(
    cluster: Cluster, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IRIS_HOME = tmp_path / "worker"
    monkeypatch.setattr(restore_witness, "WRITE_SECONDS", 0)
    database = cluster.make_original("copied_files")
    copy_of_files(cluster, tmp_path / "copy")
    for _ in range(3):
        cluster.sql("UPDATE telephony_restoreguard SET beats = beats + 1", database=database)
        assert cluster.hold_reason(database) == ""

    restore_witness.forget()  # a restarted worker reads its file
    copied = Cluster(tmp_path / "copy")
    try:
        assert copied.hold_reason(database) == restore_hold.OLDER
        copied.sql(ADOPT, database=database)
        assert copied.hold_reason(database) == ""
    finally:
        copied.stop()


def test_machine_that_cannot_write_the_witness_file_continues(
    cluster: Cluster, tmp_path: Path, settings: Settings
) -> None:
    settings.IRIS_HOME = tmp_path / "file"
    settings.IRIS_HOME.write_text("no folder")
    database = cluster.make_original("no_memory")

    assert cluster.hold_reason(database) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"adopted_at": "soon"}'])
def test_unreadable_witness_file_is_replaced(
    cluster: Cluster, tmp_path: Path, settings: Settings, text: str
) -> None:
    settings.IRIS_HOME = tmp_path
    assert (
        cluster.hold_reason() != ""
    )  # the restore of the dump was detected, so the witness file has no state of this database
    database = "no_memory_yet"
    cluster.sql("DROP DATABASE IF EXISTS no_memory_yet")
    cluster.make_original(database)
    assert cluster.hold_reason(database) == ""
    (written,) = (tmp_path / restore_witness.FOLDER).iterdir()
    restore_witness.forget()
    written.write_text(text)

    assert cluster.hold_reason(database) == ""

    assert "surely" in written.read_text()
