"""What a teacher says, and how far a student is from it."""

import numpy as np
import pytest
import torch

from policyscope.training.teaching import advised, calm, disagreement, opinion


def test_a_teacher_of_q_and_its_copy_agree_and_q_can_be_had_back():
    torch.manual_seed(0)
    q = torch.randn(5, 4)
    log_policy, value = opinion({"q": q}, 0.1)
    assert disagreement({"q": q}, log_policy, value, 0.1).tolist() == pytest.approx([0] * len(q), abs=1e-6)
    again = value + 0.1 * (log_policy - log_policy.max(dim=1, keepdim=True).values)
    torch.testing.assert_close(again, q, atol=1e-5, rtol=1e-5)


def test_disagreement_is_the_divergence_of_the_policies_and_the_error_of_the_value():
    torch.manual_seed(1)
    logits, value = torch.randn(3, 4), torch.tensor([[0.2], [0.1], [0.0]])
    said, worth = torch.randn(3, 4).log_softmax(dim=1), torch.zeros(3, 1)
    p, s = said.double().exp().numpy(), logits.double().softmax(dim=1).numpy()
    wanted = (p * np.log(p / s)).sum(axis=1) + np.array([0.5 * 0.04, 0.5 * 0.01, 0.0])
    apart = disagreement({"policy": logits, "value": value}, said, worth, 0.1)
    assert apart.tolist() == pytest.approx(wanted.tolist(), rel=1e-5)


def test_an_expert_goes_before_the_teacher_where_it_speaks_and_not_elsewhere():
    policy = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [0.1, 0.1, 0.8]])
    chances = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.4, 0.6]])
    taught = advised(policy.log(), chances).exp()
    torch.testing.assert_close(taught, torch.tensor([[0.7, 0.2, 0.1], [0.95, 0.025, 0.025], [0.005, 0.385, 0.61]]))
    # A chance of e^-200 is zero in float32, and its log is not lost.
    faded = advised(torch.tensor([[0.0, -200.0]]), torch.tensor([[1.0, 0.0]]))
    assert faded[0, 1] == pytest.approx(-200 + np.log(0.05))


def test_without_fire_a_move_has_its_own_chances_and_those_of_its_twin():
    pong = calm(("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"))
    policy = torch.tensor([[0.4, 0.1, 0.2, 0.05, 0.1, 0.15], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    taught = (policy.log()[:, :, None] + pong).logsumexp(dim=1).exp()
    wanted = torch.tensor([[0.495, 0.005, 0.297, 0.198, 0.003, 0.002], [0.99, 0.01, 0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(taught, wanted)
    # A move that is only there with fire, or only without, keeps its chances.
    assert torch.equal(calm(("NOOP", "LEFT", "RIGHTFIRE")).exp(), torch.eye(3))
