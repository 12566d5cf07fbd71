"""Settings for `make check`: django-migration-linter examines the migrations of this release.

Old code must work on the migrated database until every process is restarted. The linter reports statements that break it.
"""

from tests.settings import *  # noqa: F403
from tests.settings import BASE_DIR, INSTALLED_APPS

# The newest migration of each app in the previous release. Nobody can change these any more.
PREVIOUS = {"accounts": 4, "campaigns": 16, "iris": 1, "otp": 1, "telephony": 20, "webhooks": 0}
# The commit of that release. tests/test_rolling_upgrade.py runs it beside this release.
PREVIOUS_COMMIT = "b32fe1b1a9964e5f6e4af7f55108fca4a3c7acfc"
# Safe for another reason than their statements.
REVIEWED = [
    "0007_departments_and_twins",  # lengthens a varchar, and cannot be undone once credits were transferred
    "0006_accounts",  # renames a table, and leaves a view under the old name (accounts.previous_release)
]

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
MIGRATION_LINTER_OPTIONS = {
    "sql_analyser": "postgresql",
    "no_cache": True,
    "quiet": ["ok", "ignore"],
    "include_apps": list(PREVIOUS),
    "ignore_name": REVIEWED
    + [
        path.stem
        for app, newest in PREVIOUS.items()
        for path in (BASE_DIR / app / "migrations").glob("[0-9]*.py")
        if int(path.stem[:4]) <= newest
    ],
}
