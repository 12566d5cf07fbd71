from iris.api.views import both
from otp.api.v0 import views

urlpatterns = both("send/otp", views.SendOtp.as_view(), name="v0-send-otp")
