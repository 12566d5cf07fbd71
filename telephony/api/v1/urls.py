from iris.api.views import with_and_without_slash
from telephony.api.v1.views import PhoneNumberViewSet, Voices

urlpatterns = [
    *with_and_without_slash(
        "active-broker-phone", PhoneNumberViewSet.as_view({"get": "list"}), name="v1-dialers"
    ),
    *with_and_without_slash(
        "phone-number/active", PhoneNumberViewSet.as_view({"get": "list"}), name="v1-active-numbers"
    ),
    *with_and_without_slash(
        "phone-numbers/<id:phone_id>", PhoneNumberViewSet.as_view({"delete": "release"}), name="v1-release"
    ),
    *with_and_without_slash("voice-models", Voices.as_view(), name="v1-voices"),
]
