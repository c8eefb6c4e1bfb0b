"""Redaction: personal details of known forms are replaced by a tag or by an invented value of the same form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, get_args

from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.steps.step import STEPS, Dropped, Step

Kind = Literal["mail", "iban", "card", "ip", "phone", "address"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STREETS = """
    Street St Avenue Ave Road Rd Lane Ln Drive Dr Boulevard Blvd Court Ct Place Pl Square Sq Way Terrace Close
    Crescent Alley Bend Bluff Branch Bridge Brook Bypass Canyon Cape Causeway Center Centre Circle Cliff Club
    Common Corner Course Cove Creek Crest Crossing Crossroad Curve Dale Dam Divide Estate Expressway Extension
    Fall Ferry Field Flat Ford Forest Forge Fork Fort Freeway Garden Gateway Glen Green Grove Harbor Haven
    Heights Highway Hill Hollow Inlet Island Isle Junction Key Knoll Lake Land Landing Light Loaf Lock Lodge
    Loop Mall Manor Meadow Mews Mill Mission Motorway Mount Mountain Neck Orchard Oval Overpass Park Parkway
    Pass Passage Path Pike Pine Plain Plaza Point Port Prairie Radial Ramp Ranch Rapid Rest Ridge River Route
    Row Run Shoal Shore Skyway Spring Spur Station Stravenue Stream Summit Throughway Trace Track Trafficway
    Trail Tunnel Turnpike Underpass Union Valley Via Viaduct View Village Ville Vista Walk Wall Well
"""
"""Words that end the name of a street: the list of the United States Postal Service (Publication 28, appendix C)."""
STREET = "|".join(STREETS.split())
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
PHONE = (
    r"\+\d{1,3}(?:[ .-]?(?:\(\d{1,4}\)|\d{1,4})){2,5}"  # +49 30 1234567
    r"|\(\d{2,4}\)[ .-]?\d{3,4}[ .-]?\d{3,4}"  # (212) 555-0123
    r"|\d{3}([ .-])\d{3}\1\d{4}"  # 212-555-0123
    r"|1[ .-]\d{3}[ .-]\d{3}[ .-]\d{4}"
    r"|0\d{2,5}[ /-]\d{3,4}[ -]?\d{1,5}"  # 030 1234567, 0171 123 4567
    r"|\(0\d{2,5}\)[ .-]?\d{4,8}"  # (06228) 303883
    r"|0\d{8,10}"  # 01396937164
)


def luhn(digits: str) -> bool:
    """Return whether a number ends in the check digit of payment cards (ISO/IEC 7812)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


ISSUERS = ("3", "4", "5", "6", "22", "23", "24", "25", "26", "27", "2131", "1800", "0604")
"""The first digits of payment cards."""


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 12 <= len(digits) <= 19 and digits.startswith(ISSUERS) and len(set(digits)) > 1 and luhn(digits)


def _is_iban(text: str) -> bool:
    """Whether the check digits of an account number hold (ISO 13616: modulo 97)."""
    plain = text.replace(" ", "")
    moved = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def _is_phone(text: str) -> bool:
    return 7 <= sum(map(str.isdigit, text)) <= 15


@dataclass(frozen=True)
class Form:
    """The pattern of a kind of detail, a text that every text with it contains one of, and a check of what it finds."""

    pattern: re.Pattern[str]
    near: re.Pattern[str]
    holds: Callable[[str], bool] = bool


DIGITS = re.compile(r"\d{2}")
FORMS: Mapping[Kind, Form] = {
    "mail": Form(
        re.compile(r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b"), re.compile("@")
    ),
    "iban": Form(re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), DIGITS, _is_iban),
    "card": Form(re.compile(r"(?<![\w-])\d(?:[ -]?\d){11,18}(?![\w-])"), DIGITS, _is_card),
    "ip": Form(
        re.compile(
            rf"(?<![\w.:])(?:(?:{OCTET}\.){{3}}{OCTET}|(?:[0-9a-fA-F]{{1,4}}:){{7}}[0-9a-fA-F]{{1,4}})(?![\w:]|\.\d)"
        ),
        re.compile(r"\d[.:]|[0-9a-fA-F]:"),
    ),
    "phone": Form(re.compile(rf"(?<![\w.+/-])(?:{PHONE})(?![\w/-]|\.\d)"), DIGITS, _is_phone),
    "address": Form(
        re.compile(rf"\b\d{{1,5}}[A-Za-z]? (?:[A-Z][\w'.-]+ ){{1,3}}(?:{STREET})s?\b(?: (?:Suite|Apt\.?|Unit) \d+)?"),
        re.compile(r"\d"),
    ),
}


@STEPS.add("redact")
class Redact(Step):
    """Replaces mail addresses, account numbers, payment cards, IP addresses, phone numbers and street addresses of
    known forms. Cards and account numbers count where their check digits hold."""

    kind: Literal["redact"] = "redact"
    details: tuple[Kind, ...] = Field(default=KINDS, description=f"the details that are replaced: {', '.join(KINDS)}")
    by: Literal["tag", "invented"] = Field(
        default="tag",
        description="tag: [MAIL] and so on; invented: a value of the same form, the same one wherever a detail occurs",
    )
    key: str = Field(default="", description="decides the invented values; a secret one keeps others from guessing")

    def apply(self, document: Document) -> Document | Dropped:
        text = self.redacted(document.text)
        return document if text == document.text else replace(document, text=text)

    def redacted(self, text: str) -> str:
        """Return the text without details of these kinds."""
        for kind in self.details:
            form = FORMS[kind]
            if form.near.search(text):
                text = form.pattern.sub(lambda found, kind=kind, form=form: self._instead(kind, form, found[0]), text)
        return text

    def _instead(self, kind: Kind, form: Form, found: str) -> str:
        if not form.holds(found):
            return found
        return f"[{kind.upper()}]" if self.by == "tag" else invented(kind, found, self.key)


NAMES = ("alex", "billie", "casey", "dana", "eli", "frankie", "jamie", "jules", "kim", "lee", "morgan", "robin", "sam")
ROADS = ("Amber", "Birch", "Cedar", "Elm", "Fern", "Hazel", "Laurel", "Maple", "Oak", "Poplar", "Rowan", "Willow")


def invented(kind: Kind, found: str, key: str = "") -> str:
    """Return another value of the same form. The same detail gives the same value, and `key` decides which. The values
    are of ranges that belong to nobody where there are such: example.com, 192.0.2.0, phone numbers with 555-01."""
    seed = hashlib.blake2b(found.encode(), key=key.encode()[:64], digest_size=8).digest()
    random = Random(int.from_bytes(seed, "little"))
    if kind == "mail":
        return f"{random.choice(NAMES)}.{random.choice(ROADS).lower()}{random.randrange(1000)}@example.com"
    if kind == "ip":
        return f"192.0.2.{random.randrange(256)}" if "." in found else f"2001:db8:0:0:0:0:0:{random.randrange(2**16):x}"
    if kind == "address":
        return f"{random.randrange(1, 200)} {random.choice(ROADS)} Street"
    if kind == "phone":
        return f"555-01{random.randrange(100):02}"
    if kind == "card":
        digits = "4" + "".join(str(random.randrange(10)) for _ in range(14))
        return next(digits + end for end in "0123456789" if luhn(digits + end))
    country, account = found[:2], "".join(str(random.randrange(10)) for _ in range(len(found.replace(" ", "")) - 4))
    value = int("".join(str(int(char, 36)) for char in f"{account}{country}00"))
    return f"{country}{98 - value % 97:02}{account}"
