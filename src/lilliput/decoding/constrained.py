"""Constraint: the form of a text (JSON of a schema, a regular expression, one of a few choices), kept token by token.

Grammars and masks are llguidance's (the extra `constrain`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import TYPE_CHECKING, Any

import numpy as np

from lilliput.base.errors import ConfigError, MissingExtra
from lilliput.base.reading import from_json

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

    from lilliput.data.tokenizer import Tokenizer


MULTIPLE_LIMIT = 20_000
"""The largest `multipleOf` that is followed: its automaton has a state for each remainder, and takes half a second."""

LEXER_STATES = 50_000
"""Most states of a constraint's lexer, over all texts under it. A grammar that needs more is too large."""


class Constraint:
    """The form of a text from its first new token to its last; immutable. `start` returns the matcher of one text.

    vocab_size  number of ids that the constraint knows; a model may know more ids, which are then never generated
    """

    def __init__(self, grammar: str, tokenizer: Tokenizer, what: str, json: bool = False):
        """`grammar` in llguidance's form; `json` where it describes JSON. `what` names the grammar in errors. Raises
        ConfigError for a grammar that cannot be parsed, is too large, or is satisfied by no text."""
        llguidance = _library()
        self.vocab_size = tokenizer.vocab_size
        self.grammar = grammar
        self._tokenizer, self._json = tokenizer, json
        self._tokens = _tokens(tokenizer)
        problem = llguidance.LLMatcher.validate_grammar(grammar, self._tokens)
        if problem and not problem.startswith("WARNING"):
            raise ConfigError(f"{what} cannot be used: {' '.join(problem.split())}")
        # Built once, here, and copied for each text. A large grammar takes its time here, and most grammars that
        # cannot be followed fail here.
        self._fresh = self._matcher()
        try:
            for _ in range(2):  # Copies share a lexer. A lexer that grew too large fails in the next copy.
                self.start().allowed()
        except ConfigError as error:
            raise ConfigError(f"{what} cannot be used: {error.message}", error.hint) from None

    @classmethod
    def json_schema(cls, schema: dict[str, Any], tokenizer: Tokenizer) -> Constraint:
        """JSON that satisfies a JSON Schema, with at most one space between its parts. A small model that may write
        any white space can continue with white space for ever."""
        matcher = _library().LLMatcher
        try:
            _check_multiples(schema)
            grammar = matcher.grammar_from_json_schema(json.dumps(schema), overrides={"whitespace_pattern": "[ ]?"})
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"the JSON schema cannot be used: {error}") from None
        return cls(grammar, tokenizer, "the JSON schema", json=True)

    @classmethod
    def regex(cls, pattern: str, tokenizer: Tokenizer) -> Constraint:
        """A text that a regular expression (Rust's syntax, without look-around) matches as a whole."""
        grammar = _library().LLMatcher.grammar_from_regex(pattern)
        return cls(grammar, tokenizer, f"the regular expression {pattern!r}")

    @classmethod
    def choice(cls, options: Sequence[str], tokenizer: Tokenizer) -> Constraint:
        """Exactly one of `options`. Raises ConfigError where there is none, or an empty one."""
        if not options or not all(options):
            raise ConfigError("a choice needs options, none of them empty")
        return cls.regex(
            "|".join(re.sub(r"([\\.+*?()|\[\]{}^$#&~-])", r"\\\1", option) for option in options), tokenizer
        )

    def matches(self, text: str) -> bool:
        """Return whether a text that was generated without the constraint satisfies it. White space between the parts
        of JSON is ignored. Keys have to come in the schema's order, as they do under the constraint."""
        if self._json:
            try:
                text = json.dumps(from_json(text), ensure_ascii=False)
            except ValueError:
                return False
        ids = self._tokenizer.encode(text, continuing=True)
        matcher = self._fresh.deep_copy()
        return matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting()

    def start(self) -> Matcher:
        """A fresh matcher, for one text."""
        return Matcher(self._fresh.deep_copy())

    def _matcher(self) -> LLMatcher:
        llguidance = _library()
        limits = llguidance.LLParserLimits(max_lexer_states=LEXER_STATES)
        return llguidance.LLMatcher(self._tokens, self.grammar, log_level=0, limits=limits)


class Matcher:
    """A constraint's matcher of one text: it takes each token in turn, and gives the ids that may come next."""

    def __init__(self, matcher: LLMatcher):
        self._matcher = matcher

    @property
    def complete(self) -> bool:
        """Whether the text is whole and nothing can follow. False for a constraint that has failed."""
        return self._matcher.is_stopped() and not self._matcher.is_error()

    def allowed(self) -> np.ndarray:
        """(ceil(vocab_size / 8),) uint8: the ids that may come next as bits, the lowest bit first; the end-of-text id
        where the text may end here. Bits after the last id are 0. Raises ConfigError where the grammar is too large to
        be followed, and where no token may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise self._error()
        if not bits.any():
            raise ConfigError("no token of this tokenizer can come next")
        return bits

    def push(self, number: int) -> None:
        """Take a token that was allowed. Raises ConfigError where the grammar is too large to be followed."""
        if not self._matcher.consume_token(number):
            raise self._error()

    def _error(self) -> ConfigError:
        reason = self._matcher.get_error().strip().partition("\n")[0]  # the further lines describe the parser's state
        if reason.startswith("NoExtension"):
            return ConfigError("no text satisfies the constraint")
        return ConfigError(f"the constraint cannot be followed: {reason}", "give a smaller one")


def _check_multiples(schema: Any) -> None:
    """Raise ConfigError where the `multipleOf` of a schema are too large to be followed, before llguidance takes
    minutes to find that out. A number under several `multipleOf` is a multiple of their least common multiple."""
    given = {Fraction(str(value)) for value in _values_of("multipleOf", schema)}
    if not given:
        return
    scale = lcm(*(one.denominator for one in given))
    together = lcm(*(int(one * scale) for one in given))
    # Zeros at the end of a number do not count, because multiples of 100 are as easy as multiples of 1.
    together //= 10 ** (len(str(together)) - len(str(together).rstrip("0")))
    if together > MULTIPLE_LIMIT:
        listed = ", ".join(f"{float(one):.12g}" for one in sorted(given)[-3:])
        raise ConfigError(
            f"the JSON schema cannot be used: multipleOf {listed} cannot be followed: the least common multiple may be "
            f"{MULTIPLE_LIMIT:,} at most",
            "leave multipleOf out, and check the number afterwards",
        )


def _values_of(key: str, schema: Any) -> Iterator[int | float]:
    """The finite positive numbers at `key` anywhere in a schema."""
    if isinstance(schema, list):
        for part in schema:
            yield from _values_of(key, part)
    elif isinstance(schema, dict):
        value = schema.get(key)
        if isinstance(value, int | float) and 0 < value < float("inf"):
            yield value
        for part in schema.values():
            yield from _values_of(key, part)


def _library() -> Any:
    try:
        import llguidance
    except ImportError:
        raise MissingExtra("llguidance", "constrain", "generating under a constraint") from None
    return llguidance


class _Vocabulary:
    """A tokenizer in the form that llguidance needs: the bytes of each id, and a text's ids."""

    def __init__(self, tokenizer: Tokenizer):
        special = {number for number in range(tokenizer.vocab_size) if not tokenizer.decode_bytes([number], True)}
        self.eos_token_id, self.bos_token_id = tokenizer.eos_id, tokenizer.bos_id
        self.special_token_ids = sorted(special)
        self.tokens = [
            f"<{number}>".encode() if number in special else tokenizer.decode_bytes([number], True)
            for number in range(tokenizer.vocab_size)
        ]
        self._tokenizer = tokenizer

    def __call__(self, text: bytes | str) -> list[int]:
        data = text.encode() if isinstance(text, str) else text
        return self._tokenizer.encode_bytes(data, continuing=True)


@lru_cache(maxsize=4)
def _tokens(tokenizer: Tokenizer) -> LLTokenizer:
    """llguidance's view of a tokenizer, which takes about a second to build for 100,000 ids."""
    llguidance = _library()
    if not tokenizer.bounded:
        raise ConfigError("a constraint needs a tokenizer with an end mark, and this one has only characters")
    return llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Vocabulary(tokenizer)))
