from iris.api.views import both
from telephony.api.v0.views import PhoneNumberViewSet, TestVoice

urlpatterns = [
    *both("owned/phone_numbers", PhoneNumberViewSet.as_view({"get": "owned"}), name="v0-owned-phone-numbers"),
    *both(
        "phone_numbers",
        PhoneNumberViewSet.as_view({"get": "list", "post": "buy", "delete": "release"}),
        name="v0-phone-numbers",
    ),
    *both("test/voice", TestVoice.as_view(), name="v0-test-voice"),
]
