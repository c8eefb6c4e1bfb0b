"""Whether a text keeps its hero."""

from lilliput.storybook import story
from lilliput.storybook.hero import children, first_child, hero_prompts, keeps_hero


def test_every_true_story_keeps_its_hero_and_hardly_any_keeps_that_of_another() -> None:
    stories = [story(11, number) for number in range(200)]
    heroes = [first_child(tale.plan.hero.name) for tale in stories]
    assert all(keeps_hero(tale.text, hero or "") for tale, hero in zip(stories, heroes, strict=True))
    others = heroes[1:] + heroes[:1]
    strange = sum(keeps_hero(tale.text, hero or "") for tale, hero in zip(stories, others, strict=True))
    assert strange <= 8


def test_the_second_half_has_to_name_the_hero() -> None:
    text = "Mia had a ball. Mia threw it up. It fell into the deep well and it was gone for ever."
    assert not keeps_hero(text, "Mia")
    assert keeps_hero(text + " But Mia was not sad at all.", "Mia")
    assert keeps_hero(text, "Mia", second_half=False)


def test_one_other_child_is_a_friend_and_two_are_a_crowd() -> None:
    text = "Tom met Lily. {} Tom gave the ball back, and Tom was glad."
    assert keeps_hero(text.format("They played."), "Tom")
    assert not keeps_hero(text.format("Zara cried."), "Tom")
    assert keeps_hero(text.format("Grandpa laughed."), "Tom")  # grown-ups do not count


def test_a_text_that_ends_after_its_prompt_keeps_nobody() -> None:
    prompt = "Once upon a time, there was a little girl named Mia."
    assert not keeps_hero(f"{prompt} She was a time.", "Mia", given=prompt)
    assert keeps_hero(f"{prompt} She was Mia.", "Mia", given=prompt)
    ending = "From then on, Tom remembered that a promise is a promise."
    assert not keeps_hero(f"It was he. {ending}", "Tom", second_half=False, given=ending)
    assert keeps_hero(f"It was Tom. {ending}", "Tom", second_half=False, given=ending)


def test_prompts_name_the_hero_they_ask_about() -> None:
    for forwards in (True, False):
        prompts = hero_prompts(6, forwards)
        assert len(prompts) == 6
        assert all(hero in prompt and hero in children() for prompt, hero in prompts)
        assert prompts[0][1] == prompts[4][1]
