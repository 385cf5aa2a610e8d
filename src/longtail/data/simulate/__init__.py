"""Make semi-supervised, partial-label and noisy data from clean ones, by named rules and fixed seeds."""

from longtail.data.simulate.simulation import SIMULATIONS, Simulation, parsed, simulation

__all__ = ["SIMULATIONS", "Simulation", "parsed", "simulation"]
