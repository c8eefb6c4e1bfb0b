"""OneOf: a field that holds any class of a registry."""

from typing import Annotated, Literal

import pytest

from lilliput.base.config import Config, validate
from lilliput.base.errors import ConfigError
from lilliput.base.registered import OneOf
from lilliput.base.registry import Registry

SHAPES: Registry[type["Shape"]] = Registry("shape", "lilliput.base")


class Shape(Config):
    kind: str = ""


@SHAPES.add("circle")
class Circle(Shape):
    kind: Literal["circle"] = "circle"  # type: ignore[assignment]
    radius: float = 1.0


@SHAPES.add("square")
class Square(Shape):
    kind: Literal["square"] = "square"  # type: ignore[assignment]
    side: int = 2


class Drawing(Config):
    one: Annotated[Shape, OneOf(SHAPES)] = Circle()
    many: tuple[Annotated[Shape, OneOf(SHAPES)], ...] = ()


def test_the_class_is_chosen_by_its_kind_or_by_a_bare_name():
    drawing = validate(Drawing, {"one": {"kind": "square", "side": 3}, "many": ["circle", Square()]}, "here")
    assert drawing == Drawing(one=Square(side=3), many=(Circle(), Square()))


def test_a_dump_gives_the_same_back_with_and_without_defaults():
    drawing = Drawing(one=Square(), many=(Circle(radius=2),))
    assert drawing.differences() == {"one": {"kind": "square"}, "many": [{"kind": "circle", "radius": 2.0}]}
    assert drawing.model_dump(mode="json")["one"] == {"kind": "square", "side": 2}
    assert validate(Drawing, drawing.differences(), "here") == drawing
    assert validate(Drawing, drawing.model_dump(mode="json"), "here") == drawing
    assert Drawing().differences() == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"one": {"kind": "squar"}},
            r"'one': unknown shape 'squar' \(did you mean 'square'\?\); known: circle, square",
        ),
        ({"one": {"kind": "square", "sid": 1}}, r"'one': shape 'square': unknown key 'sid' \(did you mean 'side'\?\)"),
        ({"many": ["circle", {"side": 1}]}, r"'many.1': a shape is written '\{kind: NAME, ...\}'"),
        ({"many": ["circle", {"kind": "circle", "radius": "x"}]}, r"'many.1': shape 'circle': 'radius': .*given 'x'"),
        ({"one": 3}, r"'one': a shape is written"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(Drawing, values, "here")


def test_the_json_schema_offers_every_registered_class():
    choices = Drawing.model_json_schema()["properties"]["many"]["items"]["anyOf"]
    assert [choice["properties"]["kind"]["const"] for choice in choices] == ["circle", "square"]
