"""Split data into training, validation and test rows, once or fold by fold."""
