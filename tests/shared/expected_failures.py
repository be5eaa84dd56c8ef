"""Which of scikit-learn's checks of an estimator may fail, and why, at every version of scikit-learn."""

from collections.abc import Callable
from typing import Any

import sklearn
from sklearn.utils import get_tags
from sklearn.utils.fixes import parse_version

_DENSE = "check_sample_weight_equivalence_on_dense_data"
_SPARSE = "check_sample_weight_equivalence_on_sparse_data"


def expected_failures(copies: str = "") -> Callable[[Any], dict[str, str]]:
    """Return what `parametrize_with_checks` takes; `copies` says why a weight is not so many copies."""
    version = parse_version(sklearn.__version__)

    def failures(estimator: Any) -> dict[str, str]:
        found = {_DENSE: copies} if copies else {}
        if version < parse_version("1.6.1"):
            found[_SPARSE] = "1.6.0 gives sparse inputs to those that refuse them"
        classifier = get_tags(estimator).classifier_tags
        if version < parse_version("1.7") and classifier is not None and not classifier.multi_class:
            found[_DENSE] = "1.6 names the two classes by the first label, and shuffles between"
        return found

    return failures
