"""The closed list: the types that an archive may contain, and how each may be read."""

from __future__ import annotations

_NUMBERS = (
    "bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
    "float64", "str_", "datetime64",
)  # fmt: skip
_ARRAYS = frozenset(f"numpy.{name}" for name in _NUMBERS)

_SKLEARN = frozenset({
    "sklearn.compose._column_transformer.ColumnTransformer",
    "sklearn.pipeline.Pipeline",
    "sklearn.impute._base.SimpleImputer",
    "sklearn.impute._base.MissingIndicator",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._encoders.OneHotEncoder",
    "sklearn.preprocessing._encoders.OrdinalEncoder",
    "sklearn.preprocessing._function_transformer.FunctionTransformer",
    "sklearn.preprocessing._label.LabelEncoder",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
})  # fmt: skip

LOADERS: dict[str, frozenset[str]] = {
    "JsonNode": frozenset({"builtins.str"}),
    "DictNode": frozenset({"builtins.dict"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "TypeNode": frozenset({"builtins.bool", "builtins.int", "builtins.float", "builtins.str"}) | _ARRAYS,
    "NdArrayNode": frozenset({"numpy.ndarray"}) | _ARRAYS,
    "DTypeNode": frozenset({"numpy.dtype"}),
    # the only function, alone or in a partial: gradient boosting checks its numeric columns with it
    "FunctionNode": frozenset({"sklearn.utils.validation.check_array"}),
    "PartialNode": frozenset({"functools.partial"}),
    "LossNode": frozenset({"sklearn._loss._loss.CyHalfBinomialLoss", "sklearn._loss._loss.CyHalfMultinomialLoss"}),
    "ObjectNode": _SKLEARN,
}
"""Reader of skops -> full names of types it may read. For TreePredictor, which is not listed, see `trusted.forest`."""

NAMES = tuple(sorted(set().union(*LOADERS.values())))
"""Every name on the list."""
