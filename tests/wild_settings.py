"""Settings for a complete test system.

Its speech process fails on purpose if the text contains one of certain words (tests/telephony/speech/wild_speech.py).
"""

from iris.settings import *

SPEECH_WORKER = "tests.telephony.speech.wild_speech"
