"""What the figures and tables call activations. Labels are parameters of cells, and so seed their streams."""

from nnmoments.activations import SLIDES, Activation

__all__ = ["LABELED", "label"]

_LABELS = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "squared_relu": "squared ReLU"}


def label(activation: Activation) -> str:
    """Return the label of an activation.

    Examples
    --------
    >>> from nnmoments.activations import relu, tanh
    >>> label(relu), label(tanh)
    ('ReLU', 'tanh')
    """
    return _LABELS.get(activation.name, activation.name)


#: The slides' activations by their labels, in the slides' order.
LABELED = {label(phi): phi for phi in SLIDES}
