"""The adviser says when more labels may not pay, and why.

claim                                                        oracle
each of the three signs alone is enough, and is named        by hand
predictions count as stable only over three pairs            by hand
models of equally many labels count as one                   by hand
what no model was trained for is said to be unknown          the words
a collapsed model is neither stable nor sure, and is named   by hand
"""

from __future__ import annotations

import pytest

from minift.active.advice import Look, advise

CHANGING = [(0, 1) * 50, (1, 0) * 50, (0, 1) * 50, (1, 1, 0, 0) * 25]
SAME = [(0, 1, 1, 0) * 25] * 4


def looks(predictions, uncertainty=0.4):
    return [Look(10 + 100 * i, uncertainty, p) for i, p in enumerate(predictions)]


def test_without_a_sign_the_advice_is_to_continue_with_the_figures():
    advice = advise(looks(CHANGING), budget=1000)
    assert not advice.stop and not advice.warnings
    assert advice.reasons == (
        "continue: mean entropy 0.400 of the largest possible, mean kappa of the last models "
        "-0.667",
    )
    assert "no two models yet" in advise(looks(CHANGING[:1])).reasons[0]


def test_a_budget_that_is_used_up_is_a_reason():
    assert advise(looks(CHANGING), budget=310).reasons == ("the budget of 310 labels is used up",)
    assert not advise(looks(CHANGING), budget=311).stop


def test_the_budget_is_counted_by_the_labels_of_today_not_by_those_of_the_last_model():
    advice = advise(looks(CHANGING), budget=400, labelled=400)
    assert advice.stop and advice.reasons == ("the budget of 400 labels is used up",)
    assert "trained on 310 of 400 labels" in advice.warnings[0]
    assert advise(looks(CHANGING), 311, labelled=310) == advise(looks(CHANGING), 311)


@pytest.mark.parametrize("budget,stop", [(None, False), (51, False), (50, True)])
def test_without_a_model_the_advice_says_what_it_cannot_know(budget, stop):
    advice = advise([], budget, labelled=50)
    assert advice.stop is stop
    assert len(advice.reasons) == 1 and "entropy" not in advice.reasons[0]
    (warning,) = advice.warnings
    assert "no model has been trained, so nobody can know" in warning


def test_models_of_equally_many_labels_count_as_one_so_that_none_is_compared_with_itself():
    again = [Look(10, 0.4, SAME[0])] * 6
    assert not advise(again).stop
    assert "no two models yet" in advise(again).reasons[0]
    grown = looks(SAME[:3])
    assert not advise([*grown, grown[-1]]).stop  # three models, not four
    corrected = Look(310, 0.4, CHANGING[0])  # the same number of labels, one of them another
    assert not advise([*looks(SAME), corrected]).stop
    undone = [*looks(SAME), Look(10, 0.4, CHANGING[0])]  # the last model is of fewer labels
    assert not advise(undone).stop
    assert advise(looks(SAME)).stop  # negative control


def test_a_model_that_is_sure_is_a_reason():
    advice = advise(looks(CHANGING, uncertainty=0.049))
    assert advice.stop
    assert "mean entropy is 0.049 of the largest possible, less than 0.05" in advice.reasons[0]
    assert not advise(looks(CHANGING, uncertainty=0.05)).stop


def test_predictions_that_no_longer_change_are_a_reason_only_after_three_pairs():
    advice = advise(looks(SAME))
    assert advice.stop
    assert (
        "the mean kappa of the last 3 pairs of models is 1.000, at least 0.99" in advice.reasons[0]
    )
    assert not advise(looks(SAME[:3])).stop  # two pairs
    assert not advise(looks([*SAME, CHANGING[0]])).stop  # the last model has changed
    assert advise(looks([CHANGING[0], *SAME])).stop  # what was before does not matter


def test_a_collapsed_model_agrees_with_itself_and_is_not_called_stable():
    assert not advise(looks([(1,) * 100] * 6)).stop


def test_a_collapsed_model_is_not_called_sure_and_is_named_whatever_else_is_advised():
    fallen = looks([*CHANGING, (1,) * 100], uncertainty=0.0)
    for budget, stop in ((None, False), (10, True)):
        advice = advise(fallen, budget)
        assert advice.stop is stop
        assert len(advice.reasons) == 1  # the sureness of it is none
        (warning,) = advice.warnings
        assert "one class to all 100 it was shown" in warning
        assert "at random" in warning
    risen = looks([(1,) * 100, *CHANGING])  # what it was before does not matter
    assert advise(risen).warnings == advise([Look(10, 0.4, (1,))]).warnings == ()  # one text: no


def test_several_signs_are_all_named():
    found = advise(looks(SAME, uncertainty=0.0), budget=10)
    assert found.stop and len(found.reasons) == 3
