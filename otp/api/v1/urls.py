from iris.api.views import both
from otp.api.v1 import views

urlpatterns = [
    *both("auths/send/otp", views.SendOtp.as_view(), name="v1-send-otp"),
    *both("auths/list/send-otps", views.SentOtps.as_view(), name="v1-sent-otps"),
]
