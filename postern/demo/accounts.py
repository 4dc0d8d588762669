"""The names that the demo's mail server and its people share. Needs no Django."""

COMPANY = "Northlink Fibre"
MARTA, ELENA, TOM = "marta@northlink.example", "elena@northlink.example", "tom@northlink.example"
PASSWORDS = {MARTA: "marta-mailbox", ELENA: "elena-mailbox"}
"""The accounts on the demo's mail server. Their passwords open nothing else."""
