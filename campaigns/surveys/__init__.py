"""Surveys: calls that ask something, step by step, and what was answered.

`steps` are what a survey asks, `responses` what came back, `templates` steps to begin with. What each recipient hears is
made with the other calls of a run (`campaigns.runs.survey_calls`).
"""
