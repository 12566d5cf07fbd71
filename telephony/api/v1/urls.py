from iris.api.views import both
from telephony.api.v1.views import PhoneNumberViewSet, Voices

urlpatterns = [
    *both("active-broker-phone", PhoneNumberViewSet.as_view({"get": "list"}), name="v1-dialers"),
    *both("phone-number/active", PhoneNumberViewSet.as_view({"get": "list"}), name="v1-active-numbers"),
    *both(
        "phone-numbers/<id:phone_id>", PhoneNumberViewSet.as_view({"delete": "release"}), name="v1-release"
    ),
    *both("voice-models", Voices.as_view(), name="v1-voices"),
]
