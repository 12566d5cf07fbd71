"""Surveys: calls that ask something, step by step, and what was answered.

`steps` are what a survey asks, `calls` what each recipient hears of it, `answers` what came back, `templates` steps to
begin with.
"""
