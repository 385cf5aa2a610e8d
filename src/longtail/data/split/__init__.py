"""Which rows are trained on and which are held out, once or fold by fold."""
