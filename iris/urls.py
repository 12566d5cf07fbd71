"""The root URLconf."""

from django.contrib import admin
from django.urls import include, path, re_path

from iris.api.views import with_and_without_slash
from iris.health import health
from iris.languages import choose_language
from iris.metrics import metrics

urlpatterns = [
    path("api/accounts/", include("accounts.api.v0.urls")),
    path("api/system/", include("accounts.api.v0.system_urls")),
    path("api/system/", include("webhooks.api.v0.urls")),
    path("api/system/", include("telephony.api.v0.urls")),
    path("api/system/", include("campaigns.api.v0.urls")),
    path("api/system/", include("otp.api.v0.urls")),
    # Some clients join the base URL and the path with an additional slash.
    re_path(
        r"^/?api/v1/",
        include(
            [path("", include(f"{app}.api.v1.urls")) for app in ("accounts", "telephony", "campaigns", "otp")]
        ),
    ),
    path("api/", include("iris.api.openapi.urls")),
    path("accounts/", include("accounts.signin.urls")),
    path("", include("console.urls")),
    path("language/", choose_language, name="choose-language"),
    path("sandbox/", include("telephony.api.sandbox")),
    path("sandbox/", include("telephony.carriers.sandbox.urls")),
    path("carriers/", include("telephony.api.callbacks")),
    path("", include("telephony.media")),
    *with_and_without_slash("health", health, "health"),
    *with_and_without_slash("metrics", metrics, "metrics"),
    path("admin/", admin.site.urls),
]

handler400 = "iris.api.views.handler400"
handler403 = "iris.api.views.handler403"
handler404 = "iris.api.views.handler404"
handler500 = "iris.api.views.handler500"
