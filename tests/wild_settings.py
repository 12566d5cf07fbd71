"""The settings of a whole system for a test, with a speech process that goes wrong when a text says so."""

from iris.settings import *

SPEECH_WORKER = "tests.telephony.speech.wild_speech"
