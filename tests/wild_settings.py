"""Settings for a whole system whose speech process fails when a text asks for it (tests/telephony/speech/wild_speech.py)."""

from iris.settings import *

SPEECH_WORKER = "tests.telephony.speech.wild_speech"
