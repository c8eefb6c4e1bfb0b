"""Where and when stories happen: places, times of day, seasons, and the weather that belongs to each."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook.grammar import Noun, Place, Ways, noun, ways, words

PARK = Place("park", "in the park", "to the park")
GARDEN = Place("garden", "in the garden", "to the garden")
FOREST = Place("forest", "in the forest", "to the forest")
BEACH = Place("beach", "on the beach", "to the beach")
POND = Place("pond", "at the pond", "to the pond")
RIVER = Place("river", "by the river", "to the river")
LAKE = Place("lake", "at the lake", "to the lake")
FARM = Place("farm", "on the farm", "to the farm")
FIELD = Place("field", "in the field", "to the field")
HILL = Place("hill", "on the hill", "to the hill")
YARD = Place("yard", "in the yard", "to the yard")
PLAYGROUND = Place("playground", "on the playground", "to the playground")
STREET = Place("street", "on the street", "to the street")
SQUARE = Place("square", "in the town square", "to the town square")
MARKET = Place("market", "at the market", "to the market")
FAIR = Place("fair", "at the fair", "to the fair")
ORCHARD = Place("orchard", "in the orchard", "to the orchard")
MEADOW = Place("meadow", "in the meadow", "to the meadow")
SCHOOL = Place("school", "at school", "to school")
LIBRARY = Place("library", "at the library", "to the library")
MUSEUM = Place("museum", "at the museum", "to the museum")
POOL = Place("pool", "at the pool", "to the pool")
STATION = Place("station", "at the train station", "to the train station")
HOME = Place("home", "at home", "home")
KITCHEN = Place("kitchen", "in the kitchen", "to the kitchen")
ATTIC = Place("attic", "in the attic", "up to the attic")
BARN = Place("barn", "in the barn", "to the barn")
WORKSHOP = Place("workshop", "in the workshop", "to the workshop")
HALL = Place("hall", "in the town hall", "to the town hall")
SHOP = Place("shop", "in the shop", "to the shop")

TIMES = ("morning", "afternoon", "day", "day")


@dataclass(frozen=True, slots=True)
class Weather:
    """One kind of weather in one season. `signs` are sentences that show it."""

    sky: Noun
    season: str
    signs: Ways


def _weather(sky: str, season: str, signs: str) -> Weather:
    return Weather(noun(sky), season, ways(signs))


SUNNY_SPRING = _weather(
    "sunny",
    "spring",
    """
    The [first|yellow] flowers [were open|had come up].
    Birds sang [in every tree|from the roofs].
    The [grass|air] was fresh and [new|sweet].
    """,
)
WARM_SPRING = _weather(
    "warm",
    "spring",
    """
    The trees were [full of|white with] blossoms.
    Bees [hummed in|flew around] the flowers.
    The air smelled [of flowers|sweet and fresh].
    """,
)
RAINY_SPRING = _weather(
    "rainy",
    "spring",
    """
    [Drops of rain|Raindrops] ran down the [windows|roofs].
    There were puddles [everywhere|on every path].
    The rain went pitter, patter, pitter, patter.
    """,
)
CLOUDY_SPRING = _weather(
    "cloudy",
    "spring",
    """
    [Big gray|Soft white] clouds [rolled by|moved over the hills].
    The sun [hid|played hide and seek] behind the clouds.
    """,
)
SUNNY_SUMMER = _weather(
    "sunny",
    "summer",
    """
    The sky was [blue from end to end|as blue as the sea].
    The sun [smiled down|shone] on [the roofs|the trees].
    Butterflies danced [over the grass|in the light].
    """,
)
HOT_SUMMER = _weather(
    "hot",
    "summer",
    """
    Even the birds [sat|rested] in the shade.
    The sun [burned|stood] high in the sky.
    The dogs slept in the shade.
    """,
)
BRIGHT_SUMMER = _weather(
    "bright",
    "summer",
    """
    [There was not one cloud in sight|The sky was clear from end to end].
    The leaves [shone|sparkled] in the sunlight.
    """,
)
WINDY_SPRING = _weather(
    "windy",
    "spring",
    """
    The wind [played with|shook] the young leaves.
    [White clouds|The clouds] raced across the sky.
    """,
)
WINDY_AUTUMN = _weather(
    "windy",
    "autumn",
    """
    [Red|Yellow|Brown] leaves [danced in the air|flew past the windows].
    The wind sang in the [trees|chimneys].
    """,
)
COOL_AUTUMN = _weather(
    "cool",
    "autumn",
    """
    The leaves were turning [red|gold|orange].
    The air smelled of [apples|smoke and leaves].
    """,
)
FOGGY_AUTUMN = _weather(
    "foggy",
    "autumn",
    """
    The [hills|houses] were hidden in the fog.
    The world looked [soft and gray|like a dream].
    """,
)
RAINY_AUTUMN = _weather(
    "rainy",
    "autumn",
    """
    The rain [drummed|tapped] on the roof.
    Wet leaves [lay on the ground|stuck to the windows].
    """,
)
SNOWY_WINTER = _weather(
    "snowy",
    "winter",
    """
    [Snow|A white blanket] covered [every roof|the whole town].
    [Big|Soft|White] flakes [fell from the sky|came down slowly].
    """,
)
COLD_WINTER = _weather(
    "cold",
    "winter",
    """
    There was [ice|frost] on the windows.
    People [walked fast|wore thick coats] to keep warm.
    """,
)
FROSTY_WINTER = _weather(
    "frosty",
    "winter",
    """
    The grass was white and [crunchy|stiff].
    Every [branch|twig] [sparkled|was white] with frost.
    """,
)

WARM = (SUNNY_SPRING, WARM_SPRING, SUNNY_SUMMER, HOT_SUMMER, BRIGHT_SUMMER)
SUMMER = (SUNNY_SUMMER, HOT_SUMMER, BRIGHT_SUMMER)
SPRING = (SUNNY_SPRING, WARM_SPRING, CLOUDY_SPRING, WINDY_SPRING)
AUTUMN = (WINDY_AUTUMN, COOL_AUTUMN, FOGGY_AUTUMN)
WINTER = (SNOWY_WINTER, COLD_WINTER, FROSTY_WINTER)
WINDY = (WINDY_SPRING, WINDY_AUTUMN)
RAINY = (RAINY_SPRING, RAINY_AUTUMN)
MILD = (*WARM, CLOUDY_SPRING, WINDY_SPRING, COOL_AUTUMN, WINDY_AUTUMN)
"""Weather for being outside."""
ANY = (*MILD, RAINY_SPRING, FOGGY_AUTUMN, RAINY_AUTUMN, SNOWY_WINTER, COLD_WINTER, FROSTY_WINTER)
"""Weather for a story told indoors."""
COLORS = words("red blue green yellow purple pink white golden striped bright new pretty")
"""How a thing may look when it is first seen."""
