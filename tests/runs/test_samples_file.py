from hypothesis import given
from hypothesis import strategies as st

from lilliput.runs.samples_file import Sample, Section, format_samples, parse_samples

# Text of any kind, and much of what the format itself is made of.
text = st.text(
    st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from("\\*-#\n\r `_> step()12")), max_size=50
)
sections = st.builds(
    Section,
    st.integers(0, 10**7),
    st.integers(0, 10**12),
    st.integers(0, 10**7).map(lambda tenths: tenths / 10),
    st.lists(st.builds(Sample, text, text, text), max_size=3).map(tuple),
)


@given(st.lists(sections, max_size=4))
def test_every_text_comes_back_as_it_was(written):
    assert parse_samples("".join(map(format_samples, written))) == written


@given(sections)
def test_every_text_survives_a_file(tmp_path_factory, section):
    path = tmp_path_factory.mktemp("samples") / "samples.md"
    path.write_text(format_samples(section), encoding="utf-8")
    assert parse_samples(path.read_text(encoding="utf-8")) == [section]


def test_the_file_reads_as_markdown():
    section = Section(
        500, 1_048_576, 42.0, [("Once upon a time", ", there was.\n\n- <b>*No*</b>"), ("The dog", " ran.")]
    )
    assert format_samples(section) == (
        "## step 500 (tokens 1,048,576, 42.0 s)\n\n"
        "**Once upon a time**, there was.\n\n\\- \\<b>\\*No\\*\\</b>\n\n---\n\n**The dog** ran.\n\n"
    ).replace("b>", "b\\>")


def test_control_characters_of_untrained_weights_leave_the_file_text():
    section = Section(0, 0, 0.0, [Sample("Once", "a\x00b\x1b[31m\x7f\x85\ttab\nline \\x00")])
    written = format_samples(section)
    assert all(character.isprintable() or character in "\n\t" for character in written)
    assert "a\\x00b\\x1b" in written
    assert parse_samples(written)[0].samples == section.samples


def test_plain_pairs_are_samples():
    assert Section(1, 2, 3.0, [("a", " b")]).samples == (Sample("a", " b"),)


def test_a_whole_text_is_split_at_its_prompt():
    assert Sample.of("Once", "Once more") == Sample("Once", " more")
    assert Sample.of("the end.", "It is the end.") == Sample("the end.", "", "It is ")
    assert Sample.of("x", "nothing of it") == Sample("x", "nothing of it")


def test_a_file_cut_short_keeps_what_is_whole():
    first, second = (Section(step, 10, 1.0, [("a", " first"), ("b", " second")]) for step in (1, 2))
    content = format_samples(first) + format_samples(second)
    for length in range(len(content)):
        found = parse_samples(content[:length])
        assert len(found) <= 2
        for section in found:
            for sample, whole in zip(section.samples, first.samples, strict=False):
                assert sample.prompt == whole.prompt
                assert whole.text.startswith(sample.text.removesuffix("\n"))
    assert parse_samples("") == []
