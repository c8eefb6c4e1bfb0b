"""Redaction: planted details go, and numbers that are none stay."""

import random
import re

import pytest

from lilliput.data.document import Document
from lilliput.data.steps.redact import KINDS, Redact, _is_card, _is_iban, invented, luhn

FOUND = {
    "mail": ["anna.b@example.org", "x_1+y@mail.co.uk", "INFO@SHOP.DE"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "NO9386011117947"],
    "card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"],
    "ip": ["192.168.0.1", "8.8.8.8", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"],
    "phone": ["(212) 555-0123", "212-555-0123", "+49 30 1234567", "+44 20 7946 0958", "1-800-555-0199", "030 1234567"],
    "address": ["12 Elm Street", "1600 Old Mill Road", "7b Saint Mary's Lane"],
}
KEPT = [
    "It was 1998-2003, on 2004-05-06 at 12:30, page 212-213.",
    "Numbers such as 4111 1111 1111 1112, 1234567890123 and 3.14159.",
    "Version 1.2.3.4.5, ISBN 978-3-16-148410-0, 2,000,000 people.",
    "He ran @home and mailed a@b. The DE12 road is 100 Years Old.",
    "They won 3-2, then 10-12-2004 came; 500 people live on the Street.",
]


@pytest.mark.parametrize("kind", KINDS)
def test_details_become_tags(kind: str) -> None:
    for value in FOUND[kind]:
        text = f"Ask Tom ({value}), or write to him: {value}."
        made = Redact().apply(Document(text, "a"))
        assert isinstance(made, Document)
        assert made.text == f"Ask Tom ([{kind.upper()}]), or write to him: [{kind.upper()}]."


@pytest.mark.parametrize("text", KEPT)
def test_other_numbers_stay(text: str) -> None:
    document = Document(text, "a")
    assert Redact().apply(document) is document


def test_only_the_kinds_that_are_asked_for_go() -> None:
    text = "a@b.org and 8.8.8.8"
    assert Redact(details=("ip",)).redacted(text) == "a@b.org and [IP]"


@pytest.mark.parametrize("kind", KINDS)
def test_invented_values_have_the_form_and_are_the_same_everywhere(kind: str) -> None:
    step = Redact(by="invented", details=(kind,))  # type: ignore[arg-type]
    for value in FOUND[kind]:
        once = step.redacted(f"One {value} here. And {value} again.")
        found = re.fullmatch(r"One (.+) here\. And (.+) again\.", once)
        assert found is not None
        assert found[1] == found[2] != value
        assert step.redacted("elsewhere: " + value) == f"elsewhere: {found[1]}"
        assert Redact(by="invented", details=(kind,), key="secret").redacted(value) != found[1]  # type: ignore[arg-type]
        if kind != "phone":  # 555-01.. has no area code
            assert Redact(details=(kind,)).redacted(found[1]) == f"[{kind.upper()}]"  # type: ignore[arg-type]


def test_check_digits() -> None:
    rng = random.Random(1)
    for _ in range(200):
        card = invented("card", str(rng.random()))
        assert luhn(card)
        assert _is_card(card)
        assert not luhn(card[:-1] + str((int(card[-1]) + 1) % 10))
        account = invented("iban", f"DE{rng.randrange(10**20):020}")
        assert _is_iban(account)
        assert not _is_iban(account[:-1] + str((int(account[-1]) + 1) % 10))
