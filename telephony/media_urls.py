"""Where recordings are fetched; included at the root of the site."""

from django.urls import path

from telephony.media import audio_file

urlpatterns = [path("media/audio/<str:name>.<str:extension>", audio_file, name="audio")]
