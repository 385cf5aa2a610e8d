"""From a text to a method: what a method is, how it is spelled, composed, looked up and described."""
