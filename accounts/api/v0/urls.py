from accounts.api.v0 import views
from iris.api.views import both

urlpatterns = [
    *both("login", views.LoginView.as_view(), name="v0-login"),
    *both("logout", views.LogoutView.as_view(), name="v0-logout"),
    *both("user_details", views.UserDetailsView.as_view(), name="v0-user-details"),
    *both("token/refresh", views.RefreshView.as_view(), name="v0-token-refresh"),
]
