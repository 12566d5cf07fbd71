from accounts.api.v1 import views
from iris.api.views import with_and_without_slash

urlpatterns = [
    *with_and_without_slash("auths/login", views.Login.as_view(), name="v1-login"),
    *with_and_without_slash("auths/logout", views.Logout.as_view(), name="v1-logout"),
    *with_and_without_slash("auths/login/refresh", views.Refresh.as_view(), name="v1-refresh"),
    *with_and_without_slash("auths/generate-api-keys", views.GenerateKey.as_view(), name="v1-generate-key"),
    *with_and_without_slash("auths/get-api-keys", views.Key.as_view(), name="v1-key"),
    *with_and_without_slash("auths/user-profile", views.Profile.as_view(), name="v1-profile"),
    *with_and_without_slash(
        "auths/user-detail", views.Profile.as_view(), name="v1-profile-before"
    ),  # the path that early clients use
]
