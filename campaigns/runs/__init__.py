"""Begin, approve, reject, stop, withdraw, pause and resume runs. `stop` consists of `request_stop` and `finish_stop`."""

from campaigns.runs.approval import approve, reject
from campaigns.runs.begin import begin
from campaigns.runs.stop import Stopped, finish_stop, pause, request_stop, resume, stop, withdraw

__all__ = [
    "Stopped",
    "approve",
    "begin",
    "request_stop",
    "pause",
    "reject",
    "resume",
    "stop",
    "finish_stop",
    "withdraw",
]
