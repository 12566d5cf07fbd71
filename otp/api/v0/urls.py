from iris.dialects import both
from otp.api.v0 import views

urlpatterns = both("send/otp", views.SendOtp.as_view(), name="v0-send-otp")
