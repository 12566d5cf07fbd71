"""Every setting of iris, and the only file that reads the environment.

Each variable says what it means where it is read; docs/operations.md has the same sentences as a table
(`manage.py settingstable`).
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import django_stubs_ext
import phonenumbers
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from iris.environment import (
    carriers_from_file,
    env_bool,
    env_decimal,
    env_int,
    env_list,
    env_secret,
    env_str,
    kept_secret,
    postgresql_url,
    voices_from_file,
)

django_stubs_ext.monkeypatch()  # classes that only Django's type stubs know as generic: ModelAdmin[User]

BASE_DIR = Path(__file__).resolve().parent.parent

# Where things live ------------------------------------------------------------------------------------------

IRIS_HOME = Path(
    env_str(
        "IRIS_HOME",
        str(BASE_DIR / "var"),
        "Folder of the media, and of the embedded database and broker where those are used.",
        shown="`var/` beside manage.py",
    )
).absolute()

try:
    IRIS_HOME.mkdir(
        parents=True, exist_ok=True
    )  # beat needs it as much as the others, and has no other way to make it
except OSError as error:
    raise ImproperlyConfigured(f"IRIS_HOME must be a folder that iris may write to: {error}") from error

IRIS_PORT = env_int(
    "IRIS_PORT", 8000, "Port of 127.0.0.1 where `manage.py sandbox` listens.", minimum=1, maximum=65535
)

IRIS_DATABASE_URL = env_secret(
    "IRIS_DATABASE_URL",
    "PostgreSQL, as `postgresql://user:password@host:5432/name`. "
    "Without it iris runs an embedded PostgreSQL in `IRIS_HOME`.",
    shown="embedded",
)

IRIS_BROKER_URL = env_secret(
    "IRIS_BROKER_URL",
    "Redis, as `redis://host:6379/0`, through which web and beat nudge the workers. "
    "Without it they use files in `IRIS_HOME`, on one machine.",
    shown="files",
)

if IRIS_BROKER_URL is not None and not IRIS_BROKER_URL.startswith(("redis://", "rediss://")):
    raise ImproperlyConfigured(
        "IRIS_BROKER_URL must begin with redis:// or rediss://; iris speaks to no other broker."
    )

# The web server ---------------------------------------------------------------------------------------------

DEBUG = env_bool("IRIS_DEBUG", False, "Shows Django's error pages. Never where strangers can reach it.")

SECRET_KEY = env_secret(
    "IRIS_SECRET_KEY",
    "Signs login tokens; 50 random characters or more. "
    "Needed with `IRIS_DATABASE_URL`; else made once and kept in `IRIS_HOME`.",
    shown="made once",
) or (kept_secret(IRIS_HOME / "secret_key") if IRIS_DATABASE_URL is None else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "IRIS_SECRET_KEY is needed when IRIS_DATABASE_URL is set. Make one with: "
        "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )

IRIS_PUBLIC_URL = env_str(
    "IRIS_PUBLIC_URL",
    f"http://127.0.0.1:{IRIS_PORT}",
    "How the outside reaches iris: links to audio begin with it. Behind HTTPS it begins with https://.",
    shown="`http://127.0.0.1:IRIS_PORT`",
).rstrip("/")
if not IRIS_PUBLIC_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured(
        f"IRIS_PUBLIC_URL must begin with http:// or https://; it is {IRIS_PUBLIC_URL!r}."
    )

try:
    _PUBLIC_HOST = urlsplit(IRIS_PUBLIC_URL).hostname
except ValueError:
    _PUBLIC_HOST = None
if not _PUBLIC_HOST:
    raise ImproperlyConfigured(f"IRIS_PUBLIC_URL must name a host; it is {IRIS_PUBLIC_URL!r}.")

ALLOWED_HOSTS = [
    *env_list(
        "IRIS_ALLOWED_HOSTS",
        "localhost,127.0.0.1,[::1]",
        "Names, between commas, under which iris may be called; that of `IRIS_PUBLIC_URL` always is.",
    ),
    _PUBLIC_HOST,
]

IRIS_TRUST_PROXY = env_bool(
    "IRIS_TRUST_PROXY",
    False,
    "Believes the proxy in front about the caller's address (X-Forwarded-For) and HTTPS (X-Forwarded-Proto).",
)

_HTTPS = IRIS_PUBLIC_URL.startswith("https://")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IRIS_TRUST_PROXY else None
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
CSRF_TRUSTED_ORIGINS = [IRIS_PUBLIC_URL]
SECURE_HSTS_SECONDS = env_int(
    "IRIS_HSTS_SECONDS", 0, "Seconds for which browsers must use HTTPS only; 0 leaves that to the proxy."
)
# Redirecting to HTTPS, and what other hosts of the domain do, are the business of the proxy in front.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W005", "security.W008", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

ROOT_URLCONF = "iris.urls"
WSGI_APPLICATION = "iris.wsgi.application"
APPEND_SLASH = False  # the API is served with and without a trailing slash and never redirects

INSTALLED_APPS = [
    "iris",
    "accounts",
    "telephony",
    "campaigns",
    "otp",
    "rest_framework",
    "django_filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
]

MIDDLEWARE = [
    "iris.middleware.add_headers",  # the outermost, so that errors of the others have them, too
    "iris.middleware.AnswerOutages",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # the admin's files come from their packages: no collectstatic step to forget
MEDIA_URL = "/media/"
MEDIA_ROOT = IRIS_HOME / "media"

# The database -----------------------------------------------------------------------------------------------

_DATABASE: dict[str, Any] = {
    # Kept open: connecting costs more than most of our queries. Health checks replace one that PostgreSQL
    # closed.
    "CONN_MAX_AGE": None,
    "CONN_HEALTH_CHECKS": True,
}
DATABASES: dict[str, dict[str, Any]]
if IRIS_DATABASE_URL is None:
    DATABASES = {
        "default": {"ENGINE": "iris.devserver.embedded", "NAME": "iris", "HOME": IRIS_HOME, **_DATABASE}
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "iris.postgresql",
            **postgresql_url("IRIS_DATABASE_URL", IRIS_DATABASE_URL),
            **_DATABASE,
        }
    }
    # A machine that lost its power still holds its locks until PostgreSQL notices: within a minute, not two hours.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,  # milliseconds; the same for what was sent and not acknowledged
        "options": "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
        " -c idle_in_transaction_session_timeout=60000",
        **DATABASES["default"]["OPTIONS"],
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Celery -----------------------------------------------------------------------------------------------------

if IRIS_BROKER_URL is None:
    CELERY_BROKER_URL = "iris-files://local//"  # iris.devserver.filebroker
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "folder": str(IRIS_HOME / "broker"),
        "polling_interval": 0.05,
    }
else:
    CELERY_BROKER_URL = IRIS_BROKER_URL
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 10, "socket_connect_timeout": 2}
# Commands to running workers (`celery inspect`, `celery control`) need a broker that can broadcast.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = IRIS_BROKER_URL is not None

IRIS_WORKER_CONCURRENCY = env_int(
    "IRIS_WORKER_CONCURRENCY", 4, "Processes of one worker.", minimum=1, maximum=100
)

CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A request does not wait for a nudge.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
CELERY_TASK_DEFAULT_QUEUE = "iris"
CELERY_TASK_IGNORE_RESULT = True
# Tasks that one process runs before it connects to the database anew. Else it would for each, several times a second.
CELERY_DB_REUSE_MAX = 1000
CELERY_TASK_ACKS_LATE = False  # a lost task is nudged again by the next tick
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = IRIS_WORKER_CONCURRENCY
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000  # kB; a child above it is replaced between two tasks
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_TASK_ROUTES = ("telephony.engine.trunk_queues.route",)
CELERY_BEAT_SCHEDULER = "iris.beat:Scheduler"
CELERY_BEAT_SCHEDULE_FILENAME = str(IRIS_HOME / "beat-schedule")
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # A tick that could not be taken in time is worthless: the next one does the same, so no backlog ever
    # builds up. By the worker's clock: where beat's is behind, all are thrown away, and the heartbeat, which
    # shows it, no later than the ticks.
    "campaigns": {
        "task": "campaigns.tasks.tick",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 3},
    },
    "telephony": {
        "task": "telephony.tasks.tick",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 3},
    },
    "accounts": {
        "task": "accounts.tasks.prune",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "heartbeat": {
        "task": "iris.tasks.heartbeat",
        "schedule": timedelta(seconds=2),
        "options": {"expires": 3},
    },
}

# The API ----------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.authentication.BearerToken"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.api.throttles.UserThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "NUM_PROXIES": 1 if IRIS_TRUST_PROXY else 0,
}

IRIS_ACCESS_TOKEN_DAYS = env_int("IRIS_ACCESS_TOKEN_DAYS", 1, "Days a login's access token works.", minimum=1)
IRIS_REFRESH_TOKEN_DAYS = env_int(
    "IRIS_REFRESH_TOKEN_DAYS", 7, "Days a login's refresh token works.", minimum=1
)
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(days=IRIS_ACCESS_TOKEN_DAYS),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=IRIS_REFRESH_TOKEN_DAYS),
}

# Counts for the throttles. Without Redis each web process counts for itself; `manage.py sandbox` has one.
CACHES: dict[str, dict[str, Any]]
if IRIS_BROKER_URL is None:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "iris.broker_backoff.RestingCache",
            "LOCATION": IRIS_BROKER_URL,
            "KEY_PREFIX": "iris",
            "OPTIONS": {
                "socket_timeout": 0.5,
                "socket_connect_timeout": 0.5,
                "retry": Retry(NoBackoff(), 0),
            },
        }
    }

IRIS_LOGIN_THROTTLE = env_str(
    "IRIS_LOGIN_THROTTLE", "10/minute", "Failed logins allowed from one address to one account."
)
IRIS_LOGIN_ADDRESS_THROTTLE = env_str(
    "IRIS_LOGIN_ADDRESS_THROTTLE",
    "20/minute, 100/hour",
    "Failed logins allowed from one address to all accounts that it has not logged in to before.",
)
IRIS_LOGIN_ACCOUNT_THROTTLE = env_str(
    "IRIS_LOGIN_ACCOUNT_THROTTLE",
    "20/hour",
    "Failed logins allowed to one account from all addresses that are new to it, before each of them waits for its turn.",
)
IRIS_LOGINS_AT_ONCE = env_int(
    "IRIS_LOGINS_AT_ONCE",
    1,
    "Passwords that one web process checks at the same time; each takes half a second of a processor.",
    minimum=1,
)
IRIS_OTP_THROTTLE = env_str("IRIS_OTP_THROTTLE", "60/minute", "OTPs one account may send.")
IRIS_OTP_NUMBER_THROTTLE = env_str(
    "IRIS_OTP_NUMBER_THROTTLE",
    "5/minute, 20/hour, 50/day",
    "OTPs one account may send to one number.",
)
IRIS_OTP_COUNTRIES = [
    country.upper()
    for country in env_list(
        "IRIS_OTP_COUNTRIES",
        "",
        "Countries, by their two ISO letters and between commas, whose numbers get OTPs; `*` for all.",
        shown="`IRIS_PHONE_REGION`",
    )
]
IRIS_TRIAL_THROTTLE = env_str("IRIS_TRIAL_THROTTLE", "120/minute", "Voices one account may try.")
IRIS_TRIAL_CHARACTERS = env_int(
    "IRIS_TRIAL_CHARACTERS", 500, "Longest text with which a voice can be tried, in characters.", minimum=1
)
IRIS_TRIAL_SECONDS_PER_DAY = env_int(
    "IRIS_TRIAL_SECONDS_PER_DAY",
    3600,
    "Seconds of new speech for which one account may try voices, in a day.",
    minimum=1,
)
IRIS_API_THROTTLE = env_str("IRIS_API_THROTTLE", "6000/minute", "All other requests of one account.")

IRIS_MAX_UPLOAD_BYTES = env_int(
    "IRIS_MAX_UPLOAD_BYTES", 40 * 2**20, "Largest uploaded file, in bytes.", minimum=1
)
IRIS_MAX_BODY_BYTES = env_int(
    "IRIS_MAX_BODY_BYTES", 10 * 2**20, "Largest request body without a file, in bytes.", minimum=1
)
IRIS_SHEET_MAX_UNPACKED_BYTES = env_int(
    "IRIS_SHEET_MAX_UNPACKED_BYTES",
    2**30,
    "Largest size of a spreadsheet once unpacked, in bytes.",
    minimum=1,
)
IRIS_SHEET_MAX_ROWS = env_int("IRIS_SHEET_MAX_ROWS", 2_000_000, "Most rows of a spreadsheet.", minimum=1)
IRIS_SHEET_MAX_SECONDS = env_int(
    "IRIS_SHEET_MAX_SECONDS",
    600,
    "Seconds of processor time that a worker reads one spreadsheet before it gives up.",
    minimum=1,
)

DATA_UPLOAD_MAX_MEMORY_SIZE = IRIS_MAX_BODY_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20  # what is larger goes to a temporary file, so that uploads cost no memory
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Language, time, numbers ------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
USE_I18N = False  # the API's sentences are contract
USE_TZ = True
TIME_ZONE = env_str("IRIS_TIME_ZONE", "Asia/Kathmandu", "Time zone of times that name none.")
try:
    ZoneInfo(TIME_ZONE)
except (KeyError, OSError, ValueError) as error:
    raise ImproperlyConfigured(
        f"IRIS_TIME_ZONE must be a time zone such as Asia/Kathmandu; it is {TIME_ZONE!r}."
    ) from error
IRIS_PHONE_REGION = env_str(
    "IRIS_PHONE_REGION", "NP", "Country, by its two ISO letters, of phone numbers that name none."
).upper()
if IRIS_PHONE_REGION not in phonenumbers.SUPPORTED_REGIONS:
    raise ImproperlyConfigured(
        f"IRIS_PHONE_REGION must be the two letters of a country, such as NP; it is {IRIS_PHONE_REGION!r}."
    )

IRIS_OTP_COUNTRIES = IRIS_OTP_COUNTRIES or [IRIS_PHONE_REGION]
if unknown := set(IRIS_OTP_COUNTRIES) - {"*"} - phonenumbers.SUPPORTED_REGIONS:
    raise ImproperlyConfigured(
        f"IRIS_OTP_COUNTRIES must be the two letters of countries, such as NP,IN; {', '.join(sorted(unknown))} is none."
    )

# What it costs, in credits ----------------------------------------------------------------------------------

IRIS_SMS_CREDITS = env_decimal("IRIS_SMS_CREDITS", "1", "Credits for one segment of an SMS.")
IRIS_CALL_CREDITS = env_decimal("IRIS_CALL_CREDITS", "2", "Credits for one pulse of an answered call.")
IRIS_CALL_PULSE_SECONDS = env_int("IRIS_CALL_PULSE_SECONDS", 60, "Seconds of one pulse.", minimum=1)

# Carriers and dispatch --------------------------------------------------------------------------------------

CARRIERS: dict[str, dict[str, Any]] = {
    "sandbox": {
        "BACKEND": "telephony.carriers.sandbox.SandboxCarrier",
        "OPTIONS": {},
        "CPS": None,
        "CHANNELS": None,
    },
}
ROUTES: dict[str, list[Any]] = {"call": ["sandbox"], "sms": ["sandbox"]}

IRIS_CARRIERS_FILE = env_str(
    "IRIS_CARRIERS_FILE", "", "TOML file of carriers and routes.", shown="the sandbox carrier alone"
)
if IRIS_CARRIERS_FILE:
    CARRIERS, ROUTES = carriers_from_file("IRIS_CARRIERS_FILE", Path(IRIS_CARRIERS_FILE))

IRIS_SANDBOX_SPEED = float(
    env_decimal(
        "IRIS_SANDBOX_SPEED",
        "10",
        "How many times faster than life the sandbox carrier rings and talks.",
        minimum="0.01",
    )
)
IRIS_V0_DETAILS_OBJECT = env_bool(
    "IRIS_V0_DETAILS_OBJECT",
    False,
    "v0 answers one campaign as an object instead of a list of one, for clients that were written so.",
)
IRIS_SANDBOX_INBOX = env_bool(
    "IRIS_SANDBOX_INBOX",
    IRIS_DATABASE_URL is None,
    "Shows what the sandbox carrier took at `/sandbox/`, OTPs included, to everybody: never in production.",
    shown="on with the embedded database",
)
IRIS_BACKGROUND_IMPORT_BYTES = env_int(
    "IRIS_BACKGROUND_IMPORT_BYTES",
    5 * 2**20,
    "A sheet of more bytes is imported by a worker, after its sender has had the answer.",
)
IRIS_CLAIM_SIZE = env_int(
    "IRIS_CLAIM_SIZE",
    1000,
    "Deliveries a worker takes from a trunk's queue at once.",
    minimum=1,
    maximum=10_000,
)
IRIS_DISPATCHERS_PER_TRUNK = env_int(
    "IRIS_DISPATCHERS_PER_TRUNK",
    1,
    "Processes that hand deliveries to one trunk without CPS at the same time; a trunk with CPS has one.",
    minimum=1,
)
IRIS_TASK_SECONDS = env_int(
    "IRIS_TASK_SECONDS",
    5,
    "Seconds after which a busy task makes room for others, and goes on later.",
    minimum=1,
)
IRIS_LEASE_SECONDS = env_int(
    "IRIS_LEASE_SECONDS",
    30,
    "Seconds a worker has to submit what it took. After that nobody knows whether the carrier has it.",
    minimum=5,
)
IRIS_REPORT_TIMEOUT_SECONDS = env_int(
    "IRIS_REPORT_TIMEOUT_SECONDS",
    3600,
    "Seconds without a final report after which a delivery counts as failed (lost).",
    minimum=1,
)
IRIS_KEEP_DELIVERIES_DAYS = env_int(
    "IRIS_KEEP_DELIVERIES_DAYS",
    0,
    "Days after which `manage.py prune_deliveries` removes single calls and SMS of runs that are over; 0 keeps all.",
    minimum=0,
)
# For tests of what a crash leaves behind, and nothing else (telephony.engine.failpoints).
IRIS_FAILPOINTS = env_str(
    "IRIS_FAILPOINTS", "", "Tests only: a folder whose files name the places where a process dies."
)
IRIS_HOPPER_SIZE = env_int(
    "IRIS_HOPPER_SIZE", 2000, "Deliveries each running campaign keeps ready ahead of its trunk.", minimum=1
)

# Voices -----------------------------------------------------------------------------------------------------

IRIS_MAX_AUDIO_SECONDS = env_int(
    "IRIS_MAX_AUDIO_SECONDS", 600, "Longest message that is spoken or played, in seconds.", minimum=1
)
IRIS_WHOLE_SENTENCES = env_int(
    "IRIS_WHOLE_SENTENCES",
    200,
    "A call campaign of at most so many numbers is spoken in whole sentences, which sound best. A larger one with "
    "tags is joined from parts: each name is then spoken once, whoever bears it.",
)
IRIS_SPEECH_TIMEOUT_SECONDS = env_int(
    "IRIS_SPEECH_TIMEOUT_SECONDS",
    5,
    "Seconds of a processor for which one text may keep the speech engine busy without getting on. Then it is given up, "
    "and a campaign that says it is paused. More where neural voices speak on a slow machine.",
    minimum=1,
    maximum=3600,
)
IRIS_SPEECH_PROCESSES = env_int(
    "IRIS_SPEECH_PROCESSES",
    2,
    "Speech processes of one web process, for requests that speak at the same time. A worker's process needs one.",
    minimum=1,
)
IRIS_SPEECH_MEMORY_MB = env_int(
    "IRIS_SPEECH_MEMORY_MB",
    4096,
    "Memory, in MB of addresses, that one speech process may take; 0 sets no limit.",
)
SPEECH_WORKER = "telephony.speech_worker"  # the module; tests have some that never end, or crash
IRIS_LOUDNESS = float(
    env_decimal(
        "IRIS_LOUDNESS",
        "-16",
        "How loud voices and uploaded recordings are made, in LUFS (EBU R 128).",
        minimum=-30,
        maximum=-12,
    )
)
IRIS_KEEP_AUDIO_DAYS = env_int(
    "IRIS_KEEP_AUDIO_DAYS",
    30,
    "Days after which `manage.py prune_audio` removes speech that nobody needs any more.",
    minimum=2,
)
# The voices that iris comes with; `migrate` puts them into the catalogue, where the admin pages can change them
# (telephony.speech.voices). `engine` apart, what is not named in `CATALOGUE_KEYS` there is an option of the engine.
IRIS_VOICES: dict[str, dict[str, Any]] = {
    "np_rija": {
        "id": 1,
        "display": "Rija",
        "engine": "espeak",
        "variant": "f2",
        "pitch": 50,
        "speed": 150,
    },
    "np_rija_premium": {
        "id": 2,
        "display": "Rija premium",
        "api_name": "np_rija",
        "premium": True,
        "engine": "espeak",
        "variant": "f3",
        "pitch": 55,
        "speed": 145,
    },
    "np_prasanna": {
        "id": 3,
        "display": "Prashanna",
        "api_name": "np_prashanna",
        "engine": "espeak",
        "variant": "m3",
        "pitch": 58,
        "speed": 150,
    },
    "np_binod": {
        "id": 4,
        "display": "Binod",
        "engine": "espeak",
        "variant": "m7",
        "pitch": 25,
        "speed": 140,
    },
    "np_shreegya": {
        "id": 5,
        "display": "Shreegya",
        "engine": "espeak",
        "variant": "f4",
        "pitch": 72,
        "speed": 155,
    },
}
IRIS_VOICES_FILE = env_str(
    "IRIS_VOICES_FILE",
    "",
    "TOML file of voices, each a table `[np_rija]` with its engine and options; see docs/voices.md.",
    shown="the voices of espeak",
)
if IRIS_VOICES_FILE:
    IRIS_VOICES = voices_from_file("IRIS_VOICES_FILE", Path(IRIS_VOICES_FILE), IRIS_VOICES)

# Where recordings and large sheets lie ----------------------------------------------------------------------

IRIS_S3_BUCKET = env_str(
    "IRIS_S3_BUCKET",
    "",
    "Keeps recordings in this S3 bucket, which needs nobody's access but ours, instead of `IRIS_HOME/media`. Needs "
    "requirements/s3.txt. Its keys come from where boto3 looks for them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    shown="files in `IRIS_HOME`",
)
IRIS_S3_ENDPOINT = env_str(
    "IRIS_S3_ENDPOINT", "", "Address of the S3 service, where it is not Amazon's.", shown="Amazon's"
)
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "iris.storage.MediaStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if IRIS_S3_BUCKET:
    STORAGES = {
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": IRIS_S3_BUCKET,
                "endpoint_url": IRIS_S3_ENDPOINT or None,
                "file_overwrite": True,  # a name says what is in the file
            },
        },
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }

# Logging: to stderr, where Docker and systemd expect it -----------------------------------------------------

IRIS_LOG_LEVEL = env_str("IRIS_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.").upper()
if IRIS_LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise ImproperlyConfigured(
        f"IRIS_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR; it is {IRIS_LOG_LEVEL!r}."
    )
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"without_traceback": {"()": "iris.logs.WithoutTraceback"}},
    "formatters": {"line": {"()": "iris.logs.LineFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": IRIS_LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.request": {"level": "ERROR"},  # a client's mistakes are the client's
        "django.security.DisallowedHost": {"filters": ["without_traceback"]},
        "celery": {"level": "WARNING"},  # two ticks a second say nothing
        "kombu": {"level": "WARNING"},
    },
}
