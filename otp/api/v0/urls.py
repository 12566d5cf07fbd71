from iris.api.views import with_and_without_slash
from otp.api.v0 import views

urlpatterns = with_and_without_slash("send/otp", views.SendOtp.as_view(), name="v0-send-otp")
