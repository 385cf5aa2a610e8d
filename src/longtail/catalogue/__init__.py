"""From a spec string to a method: the `Method` class, parsing, composition, lookup and description."""
