from __future__ import annotations

from tests.refusal import refusal
from tests.runtime.conftest import MakeBundle
from turbo_webnn.models.component import Size
from turbo_webnn.runtime.verification.cases import PROMPTS, cases_of, first_prompts

READ = {"text_encoder", "unet", "vae_decoder"}


def test_prompts_are_there_and_differ() -> None:
    assert len(set(PROMPTS)) == len(PROMPTS) >= 10
    assert all(prompt == prompt.strip() != "" for prompt in PROMPTS)
    assert first_prompts(2) == PROMPTS[:2]


def test_a_number_of_prompts_that_are_not_there() -> None:
    for count in (0, len(PROMPTS) + 1):
        assert refusal(first_prompts, count) == f"{count} prompts are not to be had; give 1 to {len(PROMPTS)}"


def test_everything_is_drawn_and_little_is_measured(make_bundle: MakeBundle) -> None:
    cases = cases_of(make_bundle(size=Size(1, 16, 24)), ["a", "b"], [3, 4], [1, 4])
    drawn = {(case.prompt, case.sampling.seed, case.sampling.steps): case.measured for case in cases[:-1]}
    assert len(drawn) == len(cases) - 1 == 8
    assert all(drawn[prompt, seed, 1] == frozenset() for prompt in "ab" for seed in (3, 4))
    assert drawn["a", 3, 4] == drawn["b", 3, 4] == READ
    assert drawn["a", 4, 4] == drawn["b", 4, 4] == READ - {"text_encoder"}  # it would read the same once more
    last = cases[-1]
    assert (last.prompt, last.sampling.seed, last.sampling.strength) == ("a", 3, 0.5)
    assert last.measured == {"vae_encoder"}


def test_nothing_to_draw(make_bundle: MakeBundle) -> None:
    assert "nothing to draw" in refusal(cases_of, make_bundle(), ["a"], [], [1])
