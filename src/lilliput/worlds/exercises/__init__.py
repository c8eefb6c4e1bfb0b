"""Exercises: training rows that a language model drafts from seed texts, and of which only verified ones are kept."""

from lilliput.worlds.exercises.drafting import Drafter, endpoint_drafter, model_drafter
from lilliput.worlds.exercises.exercise import EXERCISES, Draft, Exercise, Refused
from lilliput.worlds.exercises.making import Made, make

__all__ = [
    "EXERCISES",
    "Draft",
    "Drafter",
    "Exercise",
    "Made",
    "Refused",
    "endpoint_drafter",
    "make",
    "model_drafter",
]
