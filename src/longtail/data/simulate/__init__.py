"""Make semi-supervised and partial-label data from clean ones, by named rules and one fixed seed."""

from longtail.data.simulate.simulation import SIMULATIONS, Simulation, parsed, simulation

__all__ = ["SIMULATIONS", "Simulation", "parsed", "simulation"]
