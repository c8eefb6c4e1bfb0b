"""The briefs of the plots with a friend, a helper, an animal or an owner."""

from __future__ import annotations

from lilliput.storybook.briefs.brief import Brief, brief

TOGETHER: dict[str, Brief] = {
    "build": brief(
        """
        {when}, {hero} and {friend} were {place.at}. {hero} wanted to build {thing.a}. They {first}, but {fell}.
        {when}, {hero} wanted to build {thing.a} {place.at}. "I will help you," said {friend}. They {first}, but {fell}.
        """,
        "to build {thing.a}",
        ("Why did the first {thing} not work?", "{reason}."),
        "{hero} and {friend} wanted to build {thing.a}",
        happy=(
            """
            {reason}. So they {better}. This time {stands}.
            "{reason}," said {hero}. They {better}. And see, {stands}!
            """,
            "{stands}",
        ),
        neutral=(
            """
            {reason}. They {better}, but it was too late, and they could not finish it.
            They {better}. "It is late. I have to go home," said {friend}. {thing.The} was not done.
            """,
            "they could not finish it that day",
        ),
    ),
    "gift": brief(
        """
        {when}, {hero} was {place.at} and wanted to {make} {thing.a} for {friend}. But {he} had no {need}.
        {when}, {he} wanted to {make} {thing.a} for {friend}. But {place.at}, {he} had no {need}.
        """,
        "to {make} {thing.a} for {friend}",
        ("Why did {hero} go to {keeper}?", "{hero} had no {need}."),
        "{hero} wanted to {make} {thing.a} for {friend}",
        happy=(
            """
            {hero} {did}, and {keeper} gave {him} some. Then {finish}. "Thank you!" said {friend}.
            {hero} {did} for {keeper}. Then {he} got the {need}, and {finish}. {friend} smiled.
            """,
            "{finish}",
        ),
        neutral=(
            """
            {hero} {did}, and {keeper} gave {him} some. But when {thing.the} was ready, {friend} was not at home.
            {keeper.Name} gave {him} the {need}, and {hero} made it. "Is {friend} here?" {he} asked. But {friend} was
                not at home.
            """,
            "{friend} was not at home",
        ),
    ),
    "newcomer": brief(
        """
        {when}, {friend_a} was {place.at} for the first time. {hero} wanted to be a friend, but {reason}.
        {when}, {friend_a} {alone} {place.at}. "I want to be your friend," said {hero}. But {reason}.
        """,
        "to be a friend",
        ("Why did the other one say nothing?", "It was because {reason}."),
        "{hero} wanted to be a friend of somebody new",
        happy=(
            """
            So {hero} {offer}. Then {friend} {reply}. Now they were friends.
            {hero} {offer}. Then the other one {reply}. "My name is {friend}," {friend.he} said.
            """,
            "{friend} was a new friend",
        ),
        neutral=(
            """
            So {hero} {offer}. {friend.Name} ran away but waved.
            {hero} {offer}. "Do you want to play?" {he} asked. {friend.Name} ran away but waved.
            """,
            "{friend} ran away but waved",
        ),
    ),
    "promise": brief(
        """
        {when}, {elder} asked {hero} to {task}. "I promise!" said {hero}. Then {friend} came and wanted to play.
        {when}, {hero} promised {elder} to {task}. But then {friend} called {him} to play.
        """,
        "to {duty}",
        ("What did {hero} promise?", "{hero} promised to {duty}."),
        "{hero} promised to {duty}",
        happy=(
            """
            But {hero} {kept}. Soon {reward}. {elder} came home and smiled.
            "A promise is a promise," said {hero}. {He} {kept}. And see, {reward}!
            """,
            "{he} kept the promise",
        ),
        sad=(
            """
            {hero} went to play first. When {he} came back, {broken}. "I am sorry," {he} said.
            {He} went to play first. Later, {broken}. {hero} cried and {amends}.
            """,
            "{he} broke the promise",
        ),
    ),
    "quarrel": brief(
        """
        {when}, {hero} and {friend} found {thing.a} {place.at}. {hero} wanted to {mine}, but {friend} wanted to {yours}.
        {when}, {hero} and {friend} were {place.at} with {thing.a}. "I want to {mine}!" said {hero}. But {friend} wanted
            to {yours}.
        """,
        "to {mine}",
        ("Why did {hero} and {friend} fight?", "{hero} wanted to {mine}, but {friend} wanted to {yours}."),
        "{hero} and {friend} fought over {thing.a}",
        happy=(
            """
            They fought until {harm}. Then {hero} said sorry. {shared}.
            They fought until {harm}. "{idea}," said {friend}. {shared}.
            """,
            "they were friends again",
        ),
        sad=(
            """
            They fought until {harm}. Then {friend} went home.
            They fought until {harm}. "I do not want to play with you," said {friend} and went home.
            """,
            "{friend} went home",
        ),
    ),
    "race": brief(
        """
        {when}, there was {race_a} {place.at}. {hero} wanted to win {thing.a}. But in the race, {trouble}.
        {when}, {hero} and {friend} were in {race_a} {place.at}. "I want to win {thing.a}," said {hero}. Then {trouble}.
        """,
        "to win {thing.the}",
        ("What happened in the race?", "{trouble}."),
        "{hero} was in {race_a} with {friend}",
        happy=(
            """
            {hero} stopped and {help}. In the end, {finish}.
            {hero} did not think long and {help}. "Thank you!" said {friend}, and {finish}.
            """,
            "{he} stopped and helped {friend}",
        ),
        sad=(
            """
            {hero} did not stop. {He} went on and won {thing.the}, but {friend} was hurt and cried.
            "Wait for me!" called {friend}. But {hero} went on and won {thing.the}.
            """,
            "{he} won, but did not help {friend}",
        ),
    ),
    "reach": brief(
        """
        {when}, {hero} was {place.at} with {his} {thing.full}. {lost} {He} wanted it back, but {because}.
        {when}, {he} took {his} {thing.full} {place.to}. {lost} {hero} wanted it back, but {because}.
        """,
        "to get {thing.the} back",
        ("Why could {hero} not get {thing.the} back?", "{hero} could not get it back because {because}."),
        "{hero} wanted to get {his} {thing.full} back, but {because}",
        happy=(
            """
            Then {helper.a} came. {helper.Name} {moves} {way} and brought {thing.the} back.
            "I can {can}," said {helper.a}. {helper.Name} {moves} {way} and came back with {thing.the}.
            """,
            "{helper} brought it back",
        ),
        sad=(
            """
            {hero} waited, but nobody came. Then {gone}.
            Then {gone}. "Oh no!" cried {hero}. It was too late.
            """,
            "{gone}",
        ),
    ),
    "rescue": brief(
        """
        {when}, {hero} heard {sound} {place.at}. {trouble} {He} wanted to help {animal}.
        {when}, {he} was {place.at}. {trouble} "I want to help you," {hero} told {animal}.
        """,
        "to help {animal}",
        ("Why did {animal} need help?", "{animal.Name} needed help because {state}."),
        "{hero} wanted to help {animal}",
        happy=(
            """
            {hero} saw {tool}. {He} {rescue}. {animal.Name} {free}.
            "{elder}, look!" said {hero}, for {he} saw {tool}. {hero} {rescue}. {animal.Name} {free}.
            """,
            "{he} {rescue}",
        ),
        neutral=(
            """
            {hero} saw {tool}. {He} {rescue}. Then {animal} went away.
            {hero} saw {tool} and {rescue}. "Now it must go its own way," said {elder}. {animal.Name} went away.
            """,
            "{he} {rescue}, and it went away",
        ),
    ),
    "trade": brief(
        """
        {when}, {hero} met {owner.a} {place.at}. {owner.He} had {thing.a}, and {hero} wanted it {why}. But {owner}
            wanted {second} for it.
        {when}, {he} was {place.at}. {hero} saw {thing.a} and wanted it {why}. "Give me {second} for it," said
            {owner.a}.
        """,
        "{thing.the} {why}",
        ("What did {owner} want for {thing.the}?", "{owner.Name} wanted {second} for {thing.the}."),
        "{hero} wanted {thing.a}, and {owner} wanted {second} for it",
        happy=(
            """
            {hero} {work}. {other.A} gave {him} {second} for {third_the}. Then {he} traded {second_the} for {thing.the}.
            So {hero} {work}. "I can give you {second} for that," said {other.a}. Then {hero} got {thing.the}.
            """,
            "{he} traded {second_the} for it",
        ),
        neutral=(
            """
            {hero} {work} and got {second} for {third_the}. But when {he} came back, {owner} was gone.
            So {hero} {work}. "Here is {second} for that," said {other.a}. But then {owner} was gone.
            """,
            "{owner} was gone",
        ),
    ),
}
