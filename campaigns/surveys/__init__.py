"""Surveys: calls that ask questions step by step, and record the responses.

`steps` changes the steps of a survey, `responses` stores and reads responses, and `templates` copies prepared steps into
surveys. `campaigns.runs.survey_calls` makes the calls.
"""
