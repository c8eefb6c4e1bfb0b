"""Places that are out of reach, the hero's vain tries to reach them, and the animals that can."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Helper:
    """An animal that gets where the hero cannot. `can` is its sentence about its skill, `food` its favourite food."""

    kind: str
    can: str
    moves: str
    holds: str
    food: str


@dataclass(frozen=True)
class Barrier:
    """A reason why a thing is out of reach: the hero's tries, why each try fails, and the animals that get there."""

    tries: tuple[tuple[str, str], ...]
    helpers: tuple[Helper, ...]


CROW = Helper("crow", "fly", "flew", "beak", "a piece of bread")
MOUSE = Helper("mouse", "fit into tiny places", "crept", "teeth", "a bit of cheese")
HIGH_TRIES = (
    ("jumped as high as {he} could", "{his} {hands} came nowhere near {thing.the}"),
    ("threw a stick at {thing.the}", "the stick fell right back down"),
    ("stood on {his} toes and stretched {his} arms", "{he} was much too short"),
    ("climbed on an old box", "the box was not tall enough"),
    ("waited for the wind to blow {thing.the} down", "the air was still now"),
)
TREE = Barrier(
    HIGH_TRIES,
    (
        CROW,
        Helper("squirrel", "climb any tree", "ran", "teeth", "a nut"),
        Helper("monkey", "climb very well", "climbed", "hand", "a banana"),
        Helper("cat", "climb with my claws", "climbed", "teeth", "some milk"),
    ),
)
TOWER = Barrier(
    HIGH_TRIES,
    (
        CROW,
        Helper("pigeon", "fly", "flew", "beak", "some seeds"),
        Helper("magpie", "fly", "flew", "beak", "a cherry"),
        Helper("parrot", "fly", "flew", "beak", "a slice of mango"),
        Helper("owl", "fly without a sound", "flew", "beak", "a cracker"),
    ),
)
WATER = Barrier(
    (
        ("reached out with a long stick", "the stick was too short"),
        ("threw a pebble to make waves", "the waves only pushed {thing.the} farther away"),
        ("took off {his} shoes and stepped in", "the water was cold and came over {his} knees"),
        ("blew as hard as {he} could", "{thing.the} did not come any closer"),
    ),
    (
        Helper("duck", "swim", "swam", "beak", "some corn"),
        Helper("swan", "swim", "swam", "beak", "some oats"),
        Helper("otter", "swim and dive", "swam", "teeth", "a berry"),
        Helper("turtle", "swim", "swam", "mouth", "a leaf of lettuce"),
        Helper("beaver", "swim all day", "swam", "teeth", "a slice of pear"),
    ),
)
HOLE = Barrier(
    (
        ("pushed {his} {hand} inside", "{his} arm was too thick"),
        ("poked around with a twig", "the twig only pushed {thing.the} deeper"),
        ("tried to look inside", "it was too dark to see a thing"),
        ("let down a string with a bit of gum on it", "the gum stuck to everything but {thing.the}"),
    ),
    (
        MOUSE,
        Helper("lizard", "slip through any crack", "slipped", "mouth", "a crumb of cake"),
        Helper("chipmunk", "squeeze into small holes", "squeezed", "teeth", "an acorn"),
    ),
)
THORNS = Barrier(
    (
        ("pushed {his} arm in", "a thorn scratched {him}"),
        ("pulled at the branches", "they were full of sharp points"),
        ("tried to hook {thing.the} with a stick", "the stick broke in two"),
    ),
    (
        MOUSE,
        Helper("rabbit", "crawl under thorns", "crawled", "teeth", "a carrot"),
        Helper("tortoise", "walk through thorns in my shell", "walked", "mouth", "a slice of apple"),
    ),
)
