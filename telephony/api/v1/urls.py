from iris.api.views import both
from telephony.api.v1 import views

urlpatterns = [
    *both("active-broker-phone", views.Dialers.as_view(), name="v1-dialers"),
    *both("phone-number/active", views.Dialers.as_view(), name="v1-active-numbers"),
    *both("phone-numbers/<id:phone_id>", views.Release.as_view(), name="v1-release"),
    *both("voice-models", views.Voices.as_view(), name="v1-voices"),
]
