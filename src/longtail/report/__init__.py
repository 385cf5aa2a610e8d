"""Tables, pictures and files of a comparison. Reads comparison.json's content only; never imports torch."""
