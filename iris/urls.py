"""Where everything is served."""

from django.contrib import admin
from django.urls import include, path

from iris.dialects import both
from iris.health import health

urlpatterns = [
    path("api/accounts/", include("accounts.api.v0.urls")),
    path("api/system/", include("telephony.api.v0.urls")),
    path("api/system/", include("campaigns.api.v0.urls")),
    path("api/system/", include("otp.api.v0.urls")),
    path("sandbox/", include("telephony.carriers.sandbox_urls")),
    path("", include("telephony.media_urls")),
    *both("health", health, "health"),
    path("admin/", admin.site.urls),
]

handler400 = "iris.dialects.handler400"
handler403 = "iris.dialects.handler403"
handler404 = "iris.dialects.handler404"
handler500 = "iris.dialects.handler500"
