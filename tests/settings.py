"""Settings for tests: iris.settings, independent of the IRIS_ variables of the person who runs the tests.

Tests use the embedded PostgreSQL unless IRIS_DATABASE_URL is set. Workers of pytest-xdist inherit the environment
that this module sets, so they share one IRIS_HOME and one server.
"""

import os
import tempfile

KEPT = {"IRIS_HOME", "IRIS_DATABASE_URL", "IRIS_REQUIRE_SERVICES", "IRIS_TESTS_RUNNING", "IRIS_TEST_SCALE"}
if "IRIS_TESTS_RUNNING" not in os.environ:
    for name in [name for name in os.environ if name.startswith("IRIS_") and name not in KEPT]:
        del os.environ[name]
    os.environ["IRIS_HOME"] = tempfile.mkdtemp(prefix="iris-tests-")
    os.environ["IRIS_SECRET_KEY"] = "only-for-tests-" + 40 * "x"
    os.environ["IRIS_TESTS_RUNNING"] = str(os.getpid())
    # Tests start hundreds of processes. Without bytecode, each would spend a third of its start on compiling iris.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from iris.settings import *

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"  # accepts nudges, which no worker reads
CELERY_BROKER_TRANSPORT_OPTIONS = {}
# A trunk with a pace claims in a thread with its own session, which does not see the rows of a test's transaction.
CARRIERS = {**CARRIERS, TWIN_TRUNK: {**CARRIERS[TWIN_TRUNK], "CPS": None}}
DATABASES["default"]["SERVER"] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
IRIS_REQUEST_LOG = False  # tests count queries
# Equal recordings have equal names, and one test deletes what another one in another process needs.
MEDIA_ROOT = MEDIA_ROOT / os.environ.get("PYTEST_XDIST_WORKER", "")
# iris.wsgi would give each later connection of the tests' process the timeouts of a web process. Live servers import this.
WSGI_APPLICATION: str | None = None  # type: ignore[no-redef]
# Each test client creates the middleware again. Without this, WhiteNoise would scan all static files each time.
WHITENOISE_AUTOREFRESH = True
