"""Every supervised method as a scikit-learn classifier."""
