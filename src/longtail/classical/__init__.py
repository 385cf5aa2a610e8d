"""scikit-learn estimators of our own: for anyone's pipelines, and the catalogue's classical methods."""
