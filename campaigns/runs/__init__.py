"""The verbs of a run: begin, stop, withdraw, pause, resume."""

from campaigns.runs.beginning import begin
from campaigns.runs.halting import Stopped, pause, resume, stop, withdraw

__all__ = ["Stopped", "begin", "pause", "resume", "stop", "withdraw"]
