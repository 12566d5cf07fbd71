from iris.api.views import both
from telephony.api.v0 import views

urlpatterns = [
    *both("owned/phone_numbers", views.OwnedNumbers.as_view(), name="v0-owned-phone-numbers"),
    *both("phone_numbers", views.Numbers.as_view(), name="v0-phone-numbers"),
    *both("test/voice", views.TestVoice.as_view(), name="v0-test-voice"),
]
