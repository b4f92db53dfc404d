"""Networks, and how a method is built of them."""
