"""Learn the weights of a neural network by the method of moments.

Every algorithm here decodes a cross-moment E[y S_m(x)] between a label and a score tensor of its
input; the modules follow that sentence: `densities` -> `moments` -> decoders (`sparse`, `tensors`,
`landscapes`, `borders`, `structured`) -> `learners`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
