"""Words of a text that nobody has split, in the manner of files of tagged words."""

from __future__ import annotations

import re

WORDS = re.compile(r"https?://\S+|[@#]?\w+(?:[-.]\w+)*|'\w+|[^\w\s]")
"""A word, an address, a name with @ or #, an ending such as 's, or a mark by itself, as CoNLL and WNUT have them."""
