from iris.api.views import both
from otp.api.v1.views import OtpViewSet

urlpatterns = [
    *both("auths/send/otp", OtpViewSet.as_view({"post": "send"}), name="v1-send-otp"),
    *both("auths/list/send-otps", OtpViewSet.as_view({"get": "list"}), name="v1-sent-otps"),
]
