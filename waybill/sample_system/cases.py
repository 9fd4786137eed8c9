"""Customers and orders used by documentation, demo and evaluations: one for each kind of problem.

Everything happens around `TODAY`, the fixed date of this system, so that no time window ever closes.
"""

from datetime import date

TODAY = date(2026, 4, 20)

# id, name, email, kind, city, since
CUSTOMERS: tuple[tuple[str, str, str, str, str, date], ...] = (
    ("C-1001", "Mila Janssen", "mila.janssen@example.org", "consumer", "Utrecht", date(2023, 5, 2)),
    ("C-1002", "Tom de Wit", "tom.dewit@example.org", "account", "Breda", date(2021, 11, 15)),
    ("C-1003", "Anna Kowalska", "anna.kowalska@example.org", "consumer", "Opole", date(2024, 2, 20)),
    ("C-1004", "Bakery Zonnig", "orders@zonnig.example", "account", "Venlo", date(2020, 3, 1)),
    ("C-1005", "Jonas Weber", "jonas.weber@example.org", "consumer", "Aachen", date(2025, 7, 9)),
    ("C-1006", "Priya Nair", "priya.nair@example.org", "consumer", "Antwerp", date(2024, 9, 30)),
)

# id, customer, placed on, service, state, base, fuel, options, times charged, refunds (reason, amount, made on);
# then the shipment: status, promised on, first attempt on, delivered on, last scan on, last town, declared value.
ORDERS: tuple[tuple[object, ...], ...] = (
    # An Express that arrived a day late: 24.30 back.
    ("VH-300001", "C-1001", "2026-04-13", "express_24", "delivered", "22.40", "1.90", "0.00", 1, (),
     "DLV", "2026-04-14", "2026-04-15", "2026-04-15", "2026-04-15", "Utrecht", "120.00"),
    # The same for 84.20, which a person has to approve.
    ("VH-300002", "C-1002", "2026-04-14", "express_12", "delivered", "78.00", "6.20", "0.00", 1, (),
     "DLV", "2026-04-15", "2026-04-16", "2026-04-16", "2026-04-16", "Liege", "900.00"),
    # A standard parcel nine working days late: half of the base price, as credit.
    ("VH-300003", "C-1003", "2026-03-26", "standard", "delivered", "9.80", "0.70", "0.00", 1, (),
     "DLV", "2026-03-30", "2026-04-10", "2026-04-10", "2026-04-10", "Opole", "45.00"),
    # Two working days late: no promise was broken.
    ("VH-300004", "C-1003", "2026-04-07", "standard", "delivered", "11.20", "0.80", "0.00", 1, (),
     "DLV", "2026-04-10", "2026-04-14", "2026-04-14", "2026-04-14", "Opole", "60.00"),
    # A label that was never used: canceled and refunded.
    ("VH-300005", "C-1004", "2026-04-10", "standard", "booked", "11.70", "0.90", "0.00", 1, (),
     "LBL", "2026-04-15", None, None, None, "Venlo", "30.00"),
    # Charged twice.
    ("VH-300006", "C-1004", "2026-03-02", "express_24", "delivered", "31.00", "2.50", "0.00", 2, (),
     "DLV", "2026-03-03", "2026-03-03", "2026-03-03", "2026-03-03", "Eindhoven", "210.00"),
    # On its way, scanned yesterday.
    ("VH-300007", "C-1005", "2026-04-17", "standard", "in_transit", "10.40", "0.80", "0.00", 1, (),
     "TRN", "2026-04-22", None, None, "2026-04-19", "Venlo", "75.00"),
    # On its way, and silent since the 9th.
    ("VH-300008", "C-1005", "2026-04-07", "standard", "in_transit", "12.10", "0.90", "0.00", 1, (),
     "TRN", "2026-04-10", None, None, "2026-04-09", "Katowice", "140.00"),
    # Marked delivered, and not received.
    ("VH-300009", "C-1005", "2026-04-13", "standard", "delivered", "9.90", "0.70", "0.00", 1, (),
     "DLV", "2026-04-17", "2026-04-17", "2026-04-17", "2026-04-17", "Aachen", "85.00"),
    # Not sorted yet: its address can be changed free of charge.
    ("VH-300010", "C-1006", "2026-04-18", "standard", "in_transit", "10.20", "0.80", "0.00", 1, (),
     "COL", "2026-04-23", None, None, "2026-04-20", "Antwerp", "55.00"),
    # Out for delivery: nothing can be changed.
    ("VH-300011", "C-1006", "2026-04-15", "standard", "in_transit", "10.20", "0.80", "0.00", 1, (),
     "OFD", "2026-04-20", None, None, "2026-04-20", "Antwerp", "55.00"),
    # A late Express, requested too late.
    ("VH-300012", "C-1006", "2026-03-09", "express_24", "delivered", "24.00", "2.00", "0.00", 1, (),
     "DLV", "2026-03-10", "2026-03-11", "2026-03-11", "2026-03-11", "Antwerp", "99.00"),
    # Arrived damaged.
    ("VH-300013", "C-1002", "2026-04-13", "standard", "delivered", "14.60", "1.10", "3.00", 1, (),
     "DLV", "2026-04-16", "2026-04-16", "2026-04-16", "2026-04-16", "Breda", "180.00"),
    # A late Express that was refunded already.
    ("VH-300014", "C-1001", "2026-04-08", "express_24", "delivered", "21.00", "1.80", "0.00", 1,
     (("express_late", "22.80", "2026-04-12"),),
     "DLV", "2026-04-09", "2026-04-10", "2026-04-10", "2026-04-10", "Utrecht", "80.00"),
    # A late Express freight of 331.50.
    ("VH-300015", "C-1002", "2026-04-14", "express_24", "delivered", "306.00", "25.50", "0.00", 1, (),
     "DLV", "2026-04-15", "2026-04-17", "2026-04-17", "2026-04-17", "Breda", "4100.00"),
    # Sorted: its address can be changed for a fee.
    ("VH-300016", "C-1001", "2026-04-17", "standard", "in_transit", "9.40", "0.70", "0.00", 1, (),
     "TRN", "2026-04-22", None, None, "2026-04-19", "Venlo", "40.00"),
    # Lost, as the search found.
    ("VH-300017", "C-1003", "2026-03-12", "standard", "lost", "13.00", "1.00", "0.00", 1, (),
     "LST", "2026-03-17", None, None, "2026-03-14", "Katowice", "65.00"),
    # On time, without any problem.
    ("VH-300018", "C-1001", "2026-04-15", "express_24", "delivered", "19.80", "1.60", "0.00", 1, (),
     "DLV", "2026-04-16", "2026-04-16", "2026-04-16", "2026-04-16", "Utrecht", "35.00"),
)  # fmt: skip
