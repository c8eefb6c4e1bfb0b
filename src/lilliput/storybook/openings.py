"""Fixed prompts in the world's own words, for samples that show a model's progress."""

from __future__ import annotations

OPENINGS = (
    "Once upon a time, there was a little girl named Lily. One day, she",
    "Once upon a time, there was a little boy named Tom. He loved to look at maps. One sunny morning, he",
    "There once was a curious fox named Pip.",
    "Anna was a kind girl who lived in a small house by the river.",
    "There once was a little girl named Nora. She was six years old.",
    "Once upon a time, there was a funny bear named Coco who liked to eat pancakes. It was a snowy winter day.",
    "Max was a little boy who loved to blow bubbles. One hot afternoon, Max was on the beach",
    "Once there was a clever girl of seven named Maya. One windy day,",
)
"""Beginnings of stories of this world. The first beginning is shown first."""

ENDINGS = (
    "From then on, Lily remembered that a promise is a promise.",
    "Tom was so proud that he danced around.",
    "Anna never forgot that it is good to say sorry.",
    '"See you again, little friend," she said.',
)
"""Ends of stories, for models that generate backwards."""
