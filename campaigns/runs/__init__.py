"""The verbs of a run: begin, stop, withdraw, pause, resume. `halt` and `wind_up` are the two halves of stop."""

from campaigns.runs.begin import begin
from campaigns.runs.stop import Stopped, halt, pause, resume, stop, wind_up, withdraw

__all__ = ["Stopped", "begin", "halt", "pause", "resume", "stop", "wind_up", "withdraw"]
