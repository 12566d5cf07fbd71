"""All settings of iris. No other file reads environment variables.

Each variable is described where it is read. `manage.py settingstable` writes the descriptions into docs/operations.md.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import django_stubs_ext
import phonenumbers
from django.core.exceptions import ImproperlyConfigured

from iris.beat_schedule import BEAT_SCHEDULE
from iris.environment import (
    carriers_from_file,
    env_bool,
    env_decimal,
    env_int,
    env_list,
    env_secret,
    env_str,
    postgresql_url,
    smtp_url,
    stored_secret,
    voices_from_file,
)

django_stubs_ext.monkeypatch()  # makes classes generic at run time that are generic only in the type stubs: ModelAdmin[User]

BASE_DIR = Path(__file__).resolve().parent.parent

# Locations --------------------------------------------------------------------------------------------------

IRIS_HOME = Path(
    env_str(
        "IRIS_HOME",
        str(BASE_DIR / "var"),
        "Folder of the media files, and of the embedded database and broker if they are used.",
        shown="`var/` beside manage.py",
    )
).absolute()

try:
    IRIS_HOME.mkdir(
        parents=True, exist_ok=True
    )  # created here because all processes import the settings, and beat runs no other code of iris early enough
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
    "Redis, as `redis://host:6379/0`, through which web and beat send tasks to the workers. "
    "Without it they use files in `IRIS_HOME`, which works on one machine only.",
    shown="files",
)

if IRIS_BROKER_URL is not None and not IRIS_BROKER_URL.startswith(("redis://", "rediss://")):
    raise ImproperlyConfigured(
        "IRIS_BROKER_URL must begin with redis:// or rediss://; iris supports no other broker."
    )

# The web server ---------------------------------------------------------------------------------------------

DEBUG = env_bool(
    "IRIS_DEBUG", False, "Shows Django's debug pages for errors. Never use it on a public server."
)

SECRET_KEY = env_secret(
    "IRIS_SECRET_KEY",
    "Key that signs login tokens: at least 50 random characters. "
    "Required with `IRIS_DATABASE_URL`; otherwise generated once and stored in `IRIS_HOME`.",
    shown="generated",
) or (stored_secret(IRIS_HOME / "secret_key") if IRIS_DATABASE_URL is None else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "IRIS_SECRET_KEY is needed when IRIS_DATABASE_URL is set. Generate one with: "
        "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )

SECRET_KEY_FALLBACKS = [
    key.strip()
    for key in (
        env_secret(
            "IRIS_SECRET_KEY_FALLBACKS",
            "Earlier values of `IRIS_SECRET_KEY`, separated by commas. The opt-outs of erased numbers need them.",
            shown="none",
        )
        or ""
    ).split(",")
    if key.strip()
]

IRIS_PUBLIC_URL = env_str(
    "IRIS_PUBLIC_URL",
    f"http://127.0.0.1:{IRIS_PORT}",
    "Public base URL of iris, used in links to audio. With HTTPS it begins with https://.",
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
        "Host names that requests may use, comma-separated. The host of `IRIS_PUBLIC_URL` is always allowed.",
    ),
    _PUBLIC_HOST,
]

IRIS_TRUST_PROXY = env_bool(
    "IRIS_TRUST_PROXY",
    False,
    "Trusts the proxy in front to report the client's address (X-Forwarded-For) and HTTPS (X-Forwarded-Proto).",
)

_HTTPS = IRIS_PUBLIC_URL.startswith("https://")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IRIS_TRUST_PROXY else None
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_HTTPONLY = True  # pages send the token as a form field
CSRF_FAILURE_VIEW = "accounts.signin.views.csrf_failure"
CSRF_TRUSTED_ORIGINS = [IRIS_PUBLIC_URL]
SECURE_HSTS_SECONDS = env_int(
    "IRIS_HSTS_SECONDS",
    0,
    "Seconds for which browsers must use HTTPS only (HSTS); with 0, iris does not send the header.",
)
# The proxy in front redirects to HTTPS and decides about HSTS for other hosts of the domain.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W005", "security.W008", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

ROOT_URLCONF = "iris.urls"
WSGI_APPLICATION = "iris.wsgi.application"
APPEND_SLASH = False  # the API is served with and without a trailing slash and never redirects

INSTALLED_APPS = [
    "iris",
    "accounts",
    "webhooks",
    "telephony",
    "campaigns",
    "otp",
    "console",
    "django_htmx",
    "rest_framework",
    "django_filters",
    "drf_spectacular_sidecar",  # Swagger UI and Redoc as static files
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "iris.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
]

MIDDLEWARE = [
    "iris.middleware.name_request",
    "iris.middleware.add_headers",  # outermost, so that error responses of other middleware get the headers too
    "accounts.api.request_log.log_requests",
    "iris.middleware.AnswerOutages",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "iris.languages.speak_language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.api.acting.act_in_pages",
    "accounts.signin.middleware.ErrorPages",
    "django_htmx.middleware.HtmxMiddleware",
    "console.middleware.limit_bodies",
    "allauth.account.middleware.AccountMiddleware",
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
WHITENOISE_USE_FINDERS = True  # serve static files directly from the packages, without collectstatic
MEDIA_URL = "/media/"
MEDIA_ROOT = IRIS_HOME / "media"

# The database -----------------------------------------------------------------------------------------------

_DATABASE: dict[str, Any] = {
    # Keep connections open, because connecting costs more than most of our queries. Health checks replace a connection
    # that PostgreSQL has closed.
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
    # PostgreSQL keeps the locks of a client machine that lost power until it detects the loss. With these settings it
    # does so within a minute instead of two hours.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,  # milliseconds; the same for unacknowledged data
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
# Remote control (`celery inspect`, `celery control`) needs a broker that supports broadcast.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = IRIS_BROKER_URL is not None

IRIS_WORKER_CONCURRENCY = env_int(
    "IRIS_WORKER_CONCURRENCY", 4, "Number of processes of one worker.", minimum=1, maximum=100
)

IRIS_ALIVE_FILE = env_str(
    "IRIS_ALIVE_FILE",
    "",
    "File that workers and beat touch every few seconds while they are not stuck. Healthchecks of containers look at its "
    "age.",
    shown="none",
)

CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A request must not wait until a nudge is sent.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
CELERY_TASK_DEFAULT_QUEUE = "iris"
CELERY_TASK_IGNORE_RESULT = True
# Number of tasks after which a process reconnects to the database. By default it would reconnect for each task, several
# times a second.
CELERY_DB_REUSE_MAX = 1000
CELERY_TASK_ACKS_LATE = False  # the next tick does the work of a lost task
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = IRIS_WORKER_CONCURRENCY
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000  # kB; a larger child process is replaced between two tasks
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_TASK_ROUTES = ("telephony.engine.trunk_queues.route",)
CELERY_BEAT_SCHEDULER = "iris.beat_scheduler:BeatScheduler"
CELERY_BEAT_SCHEDULE = BEAT_SCHEDULE

# The API ----------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.authentication.BearerToken"],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "accounts.api.permissions.Permitted",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.api.throttles.UserThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "NUM_PROXIES": 1 if IRIS_TRUST_PROXY else 0,
}

IRIS_ACCESS_TOKEN_DAYS = env_int(
    "IRIS_ACCESS_TOKEN_DAYS", 1, "Lifetime of an access token, in days.", minimum=1
)
IRIS_REFRESH_TOKEN_DAYS = env_int(
    "IRIS_REFRESH_TOKEN_DAYS", 7, "Lifetime of a refresh token, in days.", minimum=1
)
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(days=IRIS_ACCESS_TOKEN_DAYS),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=IRIS_REFRESH_TOKEN_DAYS),
}

# The throttles keep their counts in the cache. Without Redis, each web process counts for itself; `manage.py sandbox` has
# only one.
CACHES: dict[str, dict[str, Any]]
if IRIS_BROKER_URL is None:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    }
else:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    CACHES = {
        "default": {
            "BACKEND": "iris.redis_cache.BackoffCache",
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
    "Failed logins allowed to one account from all addresses that are new to it. Beyond it, such addresses must wait "
    "before each attempt.",
)
IRIS_LOGINS_AT_ONCE = env_int(
    "IRIS_LOGINS_AT_ONCE",
    1,
    "Passwords that one web process checks at the same time; each takes half a second of CPU time.",
    minimum=1,
)
IRIS_OTP_THROTTLE = env_str("IRIS_OTP_THROTTLE", "60/minute", "OTPs that one account may send.")
IRIS_OTP_NUMBER_THROTTLE = env_str(
    "IRIS_OTP_NUMBER_THROTTLE",
    "5/minute, 20/hour, 50/day",
    "OTPs that one account may send to one number.",
)
IRIS_OTP_COUNTRIES = [
    country.upper()
    for country in env_list(
        "IRIS_OTP_COUNTRIES",
        "",
        "Countries whose numbers may receive OTPs: ISO codes of two letters, comma-separated; `*` for all.",
        shown="`IRIS_PHONE_REGION`",
    )
]
IRIS_TRIAL_THROTTLE = env_str("IRIS_TRIAL_THROTTLE", "120/minute", "Voice trials that one account may make.")
IRIS_TRIAL_CHARACTERS = env_int(
    "IRIS_TRIAL_CHARACTERS", 500, "Maximum length of the text of a voice trial, in characters.", minimum=1
)
IRIS_TRIAL_SECONDS_PER_DAY = env_int(
    "IRIS_TRIAL_SECONDS_PER_DAY",
    3600,
    "Seconds of newly synthesized speech for the voice trials of one account in a day.",
    minimum=1,
)
IRIS_API_THROTTLE = env_str(
    "IRIS_API_THROTTLE", "6000/minute", "All other requests that one account may send."
)

IRIS_MAX_UPLOAD_BYTES = env_int(
    "IRIS_MAX_UPLOAD_BYTES", 40 * 2**20, "Maximum size of an uploaded file, in bytes.", minimum=1
)
IRIS_MAX_BODY_BYTES = env_int(
    "IRIS_MAX_BODY_BYTES", 10 * 2**20, "Maximum size of a request body without files, in bytes.", minimum=1
)
IRIS_SHEET_MAX_UNPACKED_BYTES = env_int(
    "IRIS_SHEET_MAX_UNPACKED_BYTES",
    2**30,
    "Maximum size of an unpacked spreadsheet, in bytes.",
    minimum=1,
)
IRIS_SHEET_MAX_ROWS = env_int(
    "IRIS_SHEET_MAX_ROWS", 2_000_000, "Maximum number of rows of a spreadsheet.", minimum=1
)
IRIS_SHEET_MAX_SECONDS = env_int(
    "IRIS_SHEET_MAX_SECONDS",
    600,
    "Maximum CPU time for reading one spreadsheet, in seconds. After it the import fails.",
    minimum=1,
)

DATA_UPLOAD_MAX_MEMORY_SIZE = IRIS_MAX_BODY_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20  # larger uploads go to a temporary file, so that they need no memory
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000

# Sign-in of people in the browser ---------------------------------------------------------------------------

IRIS_SESSION_HOURS = env_int(
    "IRIS_SESSION_HOURS",
    12,
    "Hours after which a person who has signed in with a browser must sign in again.",
    minimum=1,
    maximum=24 * 365,
)
IRIS_STAFF_SECOND_FACTOR = env_bool(
    "IRIS_STAFF_SECOND_FACTOR",
    False,
    "Admits only operators who have set up two-step sign-in to the admin pages.",
)
_SMTP_URL = env_secret(
    "IRIS_SMTP_URL",
    "Mail server, as `smtp://user:password@host:587` (STARTTLS), `smtps://…:465` (TLS) or `smtp://…:25?tls=off`. "
    "Without it iris sends no e-mails; the sandbox writes them to the log.",
    shown="none",
)
MAIL_SERVER = smtp_url("IRIS_SMTP_URL", _SMTP_URL) if _SMTP_URL else {}
MAIL_TO_LOG = not MAIL_SERVER and IRIS_DATABASE_URL is None
DEFAULT_FROM_EMAIL = env_str(
    "IRIS_MAIL_FROM",
    f"iris@{_PUBLIC_HOST}",
    "Sender of e-mails, such as `Campaigns <iris@example.com>`.",
    shown="`iris@` and the host of `IRIS_PUBLIC_URL`",
)
EMAIL_BACKEND = "accounts.mail.QueuedMail"
PASSWORD_RESET_TIMEOUT = 3 * 86400  # for the links of invitations, too

SESSION_COOKIE_AGE = IRIS_SESSION_HOURS * 3600
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "console:start"
# Operators and invitations create accounts, so there is no sign-up. allauth's limits would count in the cache.
# `accounts.login_limits` and `accounts.signin.code_limits` count in the database instead.
ACCOUNT_ADAPTER = "accounts.signin.adapters.AccountAdapter"
# Without this, a migration of allauth would change the e-mail addresses of all people to lower case, and clients would see
# that.
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_SIGNUP_ENABLED = False
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.links.PasswordLinkTokens"
ACCOUNT_RATE_LIMITS = False
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_FORMS = {
    "login": "accounts.signin.forms.SignInForm",
    "change_password": "accounts.signin.forms.NewPasswordForm",
    "reset_password": "accounts.signin.forms.ForgottenPasswordForm",
    "reset_password_from_key": "accounts.signin.forms.FirstPasswordForm",
    "reauthenticate": "accounts.signin.forms.PasswordAgainForm",
}
USERSESSIONS_ADAPTER = "accounts.signin.sessions.SessionsAdapter"
MFA_ADAPTER = "accounts.signin.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Safe, because nobody can open an account with the address of somebody else.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1
MFA_RATE_LIMITS = False
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _HTTPS
MFA_FORMS = {
    "authenticate": "accounts.signin.forms.CodeForm",
    "reauthenticate": "accounts.signin.forms.CodeAgainForm",
    "activate_totp": "accounts.signin.forms.ActivateTotpForm",
    "authenticate_webauthn": "accounts.signin.passkeys.SecondFactorForm",
    "reauthenticate_webauthn": "accounts.signin.passkeys.AgainForm",
    "login_webauthn": "accounts.signin.passkeys.SignInForm",
    "add_webauthn": "accounts.signin.passkeys.AddForm",
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Language, time, numbers ------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ne", "नेपाली")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True  # only for pages: `iris.languages` keeps everything else in English
USE_TZ = True
TIME_ZONE = env_str("IRIS_TIME_ZONE", "Asia/Kathmandu", "Time zone of times without a time zone.")
try:
    ZoneInfo(TIME_ZONE)
except (KeyError, OSError, ValueError) as error:
    raise ImproperlyConfigured(
        f"IRIS_TIME_ZONE must be a time zone such as Asia/Kathmandu; it is {TIME_ZONE!r}."
    ) from error
IRIS_PHONE_REGION = env_str(
    "IRIS_PHONE_REGION", "NP", "Country of phone numbers without a country code: an ISO code of two letters."
).upper()
if IRIS_PHONE_REGION not in phonenumbers.SUPPORTED_REGIONS:
    raise ImproperlyConfigured(
        f"IRIS_PHONE_REGION must be the two letters of a country, such as NP; it is {IRIS_PHONE_REGION!r}."
    )

IRIS_OTP_COUNTRIES = IRIS_OTP_COUNTRIES or [IRIS_PHONE_REGION]
if unknown := set(IRIS_OTP_COUNTRIES) - {"*"} - phonenumbers.SUPPORTED_REGIONS:
    raise ImproperlyConfigured(
        f"IRIS_OTP_COUNTRIES must be the two letters of countries, such as NP,IN; unknown: {', '.join(sorted(unknown))}."
    )

# Prices in credits ------------------------------------------------------------------------------------------

IRIS_SMS_CREDITS = env_decimal("IRIS_SMS_CREDITS", "1", "Price of one SMS segment, in credits.")
IRIS_CALL_CREDITS = env_decimal(
    "IRIS_CALL_CREDITS", "2", "Price of one pulse of an answered call, in credits."
)
IRIS_CALL_PULSE_SECONDS = env_int(
    "IRIS_CALL_PULSE_SECONDS", 60, "Length of one pulse, in seconds.", minimum=1
)

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
# The trunk of test twins, whatever carriers and routes there are. It takes their deliveries and no others. Triggers of the
# database know its name. Its pace keeps tests from slowing down real calls and SMS.
TWIN_TRUNK = "test_twins"
if TWIN_TRUNK in CARRIERS:
    raise ImproperlyConfigured(
        f"{IRIS_CARRIERS_FILE}: [carriers.{TWIN_TRUNK}] is the name of the trunk for test deliveries. Choose another name."
    )
CARRIERS = {
    **CARRIERS,
    TWIN_TRUNK: {
        "BACKEND": "telephony.carriers.sandbox.SandboxCarrier",
        "OPTIONS": {},
        "CPS": 100,
        "CHANNELS": None,
    },
}

IRIS_SANDBOX_SPEED = float(
    env_decimal(
        "IRIS_SANDBOX_SPEED",
        "10",
        "Speed of the sandbox carrier's calls, relative to real calls.",
        minimum="0.01",
    )
)
IRIS_V0_DETAILS_OBJECT = env_bool(
    "IRIS_V0_DETAILS_OBJECT",
    False,
    "v0 returns the details of a campaign as an object instead of a list of one, for clients that expect that.",
)
IRIS_SANDBOX_INBOX = env_bool(
    "IRIS_SANDBOX_INBOX",
    IRIS_DATABASE_URL is None,
    "Shows the calls and SMS of the sandbox carrier at `/sandbox/` to everyone, OTPs included. Never use it in production.",
    shown="on with the embedded database",
)
IRIS_DEMO_LOGIN = env_str(
    "IRIS_DEMO_LOGIN",
    "",
    "An e-mail address, a space and its password. The sign-in page fills them in for everyone. Only for demonstrations.",
    shown="that of the demo account in `make sandbox`",
)
IRIS_REQUEST_LOG = env_bool(
    "IRIS_REQUEST_LOG",
    IRIS_SANDBOX_INBOX,
    "Logs the last 1,000 API requests of each account for a day, with their bodies. Test accounts always have this log.",
    shown="as `IRIS_SANDBOX_INBOX`",
)
IRIS_BACKGROUND_IMPORT_BYTES = env_int(
    "IRIS_BACKGROUND_IMPORT_BYTES",
    5 * 2**20,
    "Size in bytes above which a worker imports a sheet after the response.",
)
IRIS_CLAIM_SIZE = env_int(
    "IRIS_CLAIM_SIZE",
    1000,
    "Deliveries that a worker claims from a trunk's queue in one batch.",
    minimum=1,
    maximum=10_000,
)
IRIS_DISPATCHERS_PER_TRUNK = env_int(
    "IRIS_DISPATCHERS_PER_TRUNK",
    1,
    "Number of processes that dispatch the deliveries of a trunk without CPS at the same time. A trunk with CPS has one.",
    minimum=1,
)
IRIS_TASK_SECONDS = env_int(
    "IRIS_TASK_SECONDS",
    5,
    "Seconds after which a busy task yields to other tasks and continues later.",
    minimum=1,
)
IRIS_LEASE_SECONDS = env_int(
    "IRIS_LEASE_SECONDS",
    30,
    "Seconds a worker has to submit a claimed delivery. After that its state is unknown: the carrier may have it.",
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
    "Days after which `manage.py prune_deliveries` deletes the calls and SMS of ended runs. With 0 it deletes none.",
    minimum=0,
)
# Only for tests that crash a process at a given place (telephony.engine.failpoints).
IRIS_FAILPOINTS = env_str(
    "IRIS_FAILPOINTS",
    "",
    "Only for tests: a folder. The names of its files are the places in the code where a process crashes.",
)
IRIS_HOPPER_SIZE = env_int(
    "IRIS_HOPPER_SIZE",
    2000,
    "Deliveries that each running campaign keeps queued ahead of its trunk.",
    minimum=1,
)
IRIS_WEBHOOKS_TO_PRIVATE = env_bool(
    "IRIS_WEBHOOKS_TO_PRIVATE",
    False,
    "Lets webhooks go to private addresses and to all ports. Only for tests: members could reach the operator's network.",
    shown="off; on in `make sandbox`",
)
IRIS_KEEP_WEBHOOKS_DAYS = env_int(
    "IRIS_KEEP_WEBHOOKS_DAYS",
    7,
    "Days for which the events of webhooks are kept, so that they can be sent again.",
    minimum=5,
    maximum=365,
)
IRIS_SEEDS_ABOVE = env_int(
    "IRIS_SEEDS_ABOVE",
    1000,
    "SMS campaigns with more recipients than this also go to the account's seed numbers.",
    minimum=0,
)

# Voices -----------------------------------------------------------------------------------------------------

IRIS_MAX_AUDIO_SECONDS = env_int(
    "IRIS_MAX_AUDIO_SECONDS", 600, "Maximum length of a spoken or recorded message, in seconds.", minimum=1
)
IRIS_WHOLE_SENTENCES = env_int(
    "IRIS_WHOLE_SENTENCES",
    200,
    "In call campaigns with at most this many numbers, each message is synthesized as a whole, which sounds best. In larger "
    "campaigns with tags, messages are joined from parts, so that each name is synthesized only once.",
)
IRIS_SPEECH_TIMEOUT_SECONDS = env_int(
    "IRIS_SPEECH_TIMEOUT_SECONDS",
    5,
    "CPU seconds that the speech engine may use for one text without progress. Then synthesis fails, and a campaign with "
    "this text is paused. Increase it for neural voices on a slow machine.",
    minimum=1,
    maximum=3600,
)
IRIS_SPEECH_PROCESSES = env_int(
    "IRIS_SPEECH_PROCESSES",
    2,
    "Speech processes of one web process, for concurrent requests that synthesize speech. A worker process uses one.",
    minimum=1,
)
IRIS_SPEECH_MEMORY_MB = env_int(
    "IRIS_SPEECH_MEMORY_MB",
    4096,
    "Maximum address space of one speech process, in MB; 0 means no limit.",
)
SPEECH_WORKER = "telephony.speech_worker"  # the module; tests replace it by modules that hang or crash
IRIS_LOUDNESS = float(
    env_decimal(
        "IRIS_LOUDNESS",
        "-16",
        "Target loudness of voices and uploaded recordings, in LUFS (EBU R 128).",
        minimum=-30,
        maximum=-12,
    )
)
IRIS_KEEP_AUDIO_DAYS = env_int(
    "IRIS_KEEP_AUDIO_DAYS",
    30,
    "Days after which `manage.py prune_audio` deletes unused speech.",
    minimum=2,
)
# The built-in voices. `migrate` adds them to the catalogue, where operators can change them (telephony.speech.voices). Keys
# that are not in `CATALOGUE_KEYS` there are options of the engine.
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
    "TOML file of voices: each is a table such as `[np_rija]` with its engine and options; see docs/voices.md.",
    shown="the voices of espeak",
)
if IRIS_VOICES_FILE:
    IRIS_VOICES = voices_from_file("IRIS_VOICES_FILE", Path(IRIS_VOICES_FILE), IRIS_VOICES)

# Storage of recordings and large sheets ---------------------------------------------------------------------

IRIS_S3_BUCKET = env_str(
    "IRIS_S3_BUCKET",
    "",
    "S3 bucket for recordings, instead of `IRIS_HOME/media`. It should be private. Needs requirements/s3.txt. boto3 reads "
    "its credentials, for example from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    shown="files in `IRIS_HOME`",
)
IRIS_S3_ENDPOINT = env_str(
    "IRIS_S3_ENDPOINT", "", "URL of an S3 service other than Amazon's.", shown="Amazon's"
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
                "file_overwrite": True,  # names are derived from the content
                "querystring_expire": 86400,  # seconds for which signed addresses of the bucket are valid
            },
        },
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }

# Metrics ----------------------------------------------------------------------------------------------------

IRIS_METRICS_TOKEN = (
    env_secret(
        "IRIS_METRICS_TOKEN",
        "Token with which other machines may read `/metrics`, at least 16 characters: `Authorization: Bearer …`. "
        "Without it only this machine may, and not through a proxy.",
        shown="none",
    )
    or ""
)
if IRIS_METRICS_TOKEN and len(IRIS_METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("IRIS_METRICS_TOKEN must have at least 16 characters.")

# Logging: to stderr, where Docker and systemd expect it -----------------------------------------------------

IRIS_LOG_LEVEL = env_str("IRIS_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.").upper()
if IRIS_LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise ImproperlyConfigured(
        f"IRIS_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR; it is {IRIS_LOG_LEVEL!r}."
    )
IRIS_LOG_FORMAT = env_str(
    "IRIS_LOG_FORMAT",
    "line",
    "`line` for people, or `json`: one object a line, for programs that collect logs.",
).lower()
if IRIS_LOG_FORMAT not in {"line", "json"}:
    raise ImproperlyConfigured(f"IRIS_LOG_FORMAT must be line or json; it is {IRIS_LOG_FORMAT!r}.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"without_traceback": {"()": "iris.logs.WithoutTraceback"}},
    "formatters": {"line": {"()": "iris.logs.LineFormatter"}, "json": {"()": "iris.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": IRIS_LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": IRIS_LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.request": {"level": "ERROR"},  # do not log client errors (4xx)
        "django.security.DisallowedHost": {"filters": ["without_traceback"]},
        "celery": {"level": "WARNING"},  # do not log each tick
        "kombu": {"level": "WARNING"},
    },
}
