"""How well boxes of videos are told apart that have no layers of their own: the held-out ones.

A linear classifier on the shared layers' output stands for fc6. It is fitted on every second
frame of a video, and measured on the others.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["misclassified", "softmax_loss"]

RIDGE = 1.0  # of the classifiers' weights
STEPS = 30  # of L-BFGS

# The shared layers' output (n, WIDTH) and labels (n,): above 0 for positives, below for
# negatives, their sizes such that both kinds weigh the same.
Rows = tuple[Tensor, Tensor]


def misclassified(fitted: Rows, tested: Rows) -> Tensor:
    """Return the share () of boxes on the wrong side: the mean of positives' and negatives' share.

    The classifier is a ridge regression of the labels.
    """
    features, labels = fitted
    mean = features.mean(0)
    features = features - mean
    gram = features.T @ features + RIDGE * torch.eye(features.shape[1])  # (WIDTH, WIDTH)
    classifier = torch.linalg.solve(gram, features.T @ labels)
    others, signs = tested
    missed = ((others - mean) @ classifier * signs < 0).float()
    return (missed[signs > 0].mean() + missed[signs < 0].mean()) / 2


def softmax_loss(fitted: Rows, tested: Rows) -> Tensor:
    """Return the mean softmax loss (): positives and negatives weigh the same.

    The classifier is a logistic regression. A loss tells two trainings apart that misclassify
    the same boxes, and so chooses between checkpoints.
    """
    features, labels = fitted
    mean = features.mean(0)
    weight = torch.zeros(features.shape[1] + 1, requires_grad=True)  # and a bias
    optimizer = torch.optim.LBFGS([weight], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        ridge = RIDGE / 2 * weight[:-1].square().sum()
        loss = _losses(features - mean, labels, weight).sum() + ridge
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    others, signs = tested
    losses = _losses(others - mean, signs, weight.detach())
    return losses.sum() / signs.abs().sum()


def _losses(features: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Return log(1 + exp(-margin)) of each box (n,), times its label's size."""
    margins = (features @ weight[:-1] + weight[-1]) * labels.sign()
    return labels.abs() * softplus(-margins)
