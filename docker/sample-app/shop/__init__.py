"""A shop as small as it can be: customers, orders, a support desk and reports, written as if all columns were text."""
