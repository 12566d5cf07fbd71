"""The verbs of a run: begin, stop, withdraw, pause, resume. `request_stop` and `finish_stop` are the two halves of stop."""

from campaigns.runs.begin import begin
from campaigns.runs.stop import Stopped, finish_stop, pause, request_stop, resume, stop, withdraw

__all__ = ["Stopped", "begin", "request_stop", "pause", "resume", "stop", "finish_stop", "withdraw"]
