"""Begin, approve, reject, stop, withdraw, pause, resume and continue runs. `stop` is `request_stop`, then `finish_stop`."""

from campaigns.runs.approval import approve, reject
from campaigns.runs.begin import begin
from campaigns.runs.stop import Stopped, finish_stop, pause, request_stop, resume, stop, withdraw
from campaigns.runs.waves import next_wave

__all__ = [
    "Stopped",
    "approve",
    "begin",
    "request_stop",
    "next_wave",
    "pause",
    "reject",
    "resume",
    "stop",
    "finish_stop",
    "withdraw",
]
