from iris.api.views import with_and_without_slash
from otp.api.v1.views import OtpViewSet

urlpatterns = [
    *with_and_without_slash("auths/send/otp", OtpViewSet.as_view({"post": "send"}), name="v1-send-otp"),
    *with_and_without_slash("auths/list/send-otps", OtpViewSet.as_view({"get": "list"}), name="v1-sent-otps"),
]
