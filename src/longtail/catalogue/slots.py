"""The parts of a training that a correction can change, each once."""

ALREADY = {
    "weights": "which weighs its examples already",
    "update": "which takes steps of its own kind already",
    "criterion": "which has a criterion of its own already",
    "optimizer": "which has an optimiser of its own already",
    "targets": "which estimates its targets already",
    "auxiliary": "which has an auxiliary classifier already",
    "branch": "which passes one view through a changed network already",
    "temperature": "which schedules its temperature already",
    "views": "which changes its views row by row already",
    "surrogate": "which has surrogate classes already",
    "experts": "which trains experts of its own already",
    "generations": "which trains in generations already",
    "start": "which starts from the network of another training already",
    "classifier": "which trains its classifier a second time already",
    "linear head": "which changes its linear classifier already",
    "shares": "which re-balances its classes already",
    "mixing": "which mixes its examples already",
}
"""Slot -> what messages say of a method that has filled it."""
SLOTS = frozenset(ALREADY)
UNLABELED = frozenset({"targets", "auxiliary", "generations"})
"""The slots of what learns from rows without labels; a second stage on the labelled rows alone has none of them."""
COSINE = SLOTS - {"linear head"}
"""The slots of a method whose classifier has directions alone: no lengths and no bias."""
