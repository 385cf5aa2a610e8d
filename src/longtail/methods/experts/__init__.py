"""Networks that divide: experts that are averaged, and branches with samplers of their own."""
