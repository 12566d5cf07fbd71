from django.urls import path

from telephony.carriers.sandbox.views import inbox

urlpatterns = [path("", inbox, name="sandbox-inbox")]
