"""The 85 parameters of one payment, a module a group: each reads the payment, the payer's record and entity risk."""
