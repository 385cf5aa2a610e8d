"""What is trained: a network with its loss, its targets and all other state of learning."""

from longtail.facts.learner import Inference, Learner
from longtail.learners.coteaching import CoTeaching
from longtail.learners.estimator import EstimatorLearner
from longtail.learners.fitted import FittedEstimator
from longtail.learners.pair import PairLearner
from longtail.learners.semi import SemiSupervisedLearner
from longtail.learners.solar import SolarLearner
from longtail.learners.supervised import SupervisedLearner
from longtail.learners.views import ViewsLearner

__all__ = [
    "CoTeaching",
    "EstimatorLearner",
    "FittedEstimator",
    "Inference",
    "Learner",
    "PairLearner",
    "SemiSupervisedLearner",
    "SolarLearner",
    "SupervisedLearner",
    "ViewsLearner",
]
