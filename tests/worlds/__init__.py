"""Tests of worlds/."""
