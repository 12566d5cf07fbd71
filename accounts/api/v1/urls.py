from accounts.api.v1 import views
from iris.api.views import both

urlpatterns = [
    *both("auths/login", views.Login.as_view(), name="v1-login"),
    *both("auths/logout", views.Logout.as_view(), name="v1-logout"),
    *both("auths/login/refresh", views.Refresh.as_view(), name="v1-refresh"),
    *both("auths/generate-api-keys", views.GenerateKey.as_view(), name="v1-generate-key"),
    *both("auths/get-api-keys", views.Key.as_view(), name="v1-key"),
    *both("auths/user-profile", views.Profile.as_view(), name="v1-profile"),
    *both(
        "auths/user-detail", views.Profile.as_view(), name="v1-profile-before"
    ),  # the path that early clients use
]
