from accounts.api.v0 import views
from iris.api.views import with_and_without_slash

urlpatterns = [
    *with_and_without_slash("login", views.LoginView.as_view(), name="v0-login"),
    *with_and_without_slash("logout", views.LogoutView.as_view(), name="v0-logout"),
    *with_and_without_slash("user_details", views.UserDetailsView.as_view(), name="v0-user-details"),
    *with_and_without_slash("token/refresh", views.RefreshView.as_view(), name="v0-token-refresh"),
]
