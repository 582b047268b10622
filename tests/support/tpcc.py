"""A load like TPC-C's: nine tables of a wholesale supplier and its five transactions. For capture.sh.

    tpcc.py PORT [TRANSACTIONS]

Not a benchmark: what counts is the statements, and that rare branches (a customer by name, a wrong item, an empty
district) come late and seldom.
"""

import random
import sys

import pymysql

TABLES = [
    "warehouse (w_id INT PRIMARY KEY, w_name VARCHAR(10), w_street VARCHAR(20), w_city VARCHAR(20), w_zip CHAR(9), "
    "w_tax DECIMAL(4,4), w_ytd DECIMAL(12,2))",
    "district (d_w_id INT, d_id INT, d_name VARCHAR(10), d_street VARCHAR(20), d_city VARCHAR(20), d_tax DECIMAL(4,4), "
    "d_ytd DECIMAL(12,2), d_next_o_id INT, PRIMARY KEY (d_w_id, d_id))",
    "customer (c_w_id INT, c_d_id INT, c_id INT, c_first VARCHAR(16), c_middle CHAR(2), c_last VARCHAR(16), "
    "c_credit CHAR(2), c_discount DECIMAL(4,4), c_balance DECIMAL(12,2), c_ytd_payment DECIMAL(12,2), c_payment_cnt INT, "
    "c_delivery_cnt INT, c_data VARCHAR(500), PRIMARY KEY (c_w_id, c_d_id, c_id))",
    "history (h_c_id INT, h_c_d_id INT, h_c_w_id INT, h_d_id INT, h_w_id INT, h_date DATETIME, h_amount DECIMAL(6,2), "
    "h_data VARCHAR(24))",
    "orders (o_w_id INT, o_d_id INT, o_id INT, o_c_id INT, o_entry_d DATETIME, o_carrier_id INT, o_ol_cnt INT, "
    "o_all_local INT, PRIMARY KEY (o_w_id, o_d_id, o_id))",
    "new_order (no_w_id INT, no_d_id INT, no_o_id INT, PRIMARY KEY (no_w_id, no_d_id, no_o_id))",
    "order_line (ol_w_id INT, ol_d_id INT, ol_o_id INT, ol_number INT, ol_i_id INT, ol_supply_w_id INT, "
    "ol_delivery_d DATETIME, ol_quantity INT, ol_amount DECIMAL(6,2), PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number))",
    "item (i_id INT PRIMARY KEY, i_name VARCHAR(24), i_price DECIMAL(5,2), i_data VARCHAR(50))",
    "stock (s_w_id INT, s_i_id INT, s_quantity INT, s_ytd INT, s_order_cnt INT, s_remote_cnt INT, s_data VARCHAR(50), "
    "PRIMARY KEY (s_w_id, s_i_id))",
]
DISTRICTS, CUSTOMERS, ITEMS = 3, 12, 60
NAMES = ["BAR", "OUGHT", "ABLE", "PRI"]


class Load:
    def __init__(self, port: int):
        self.random = random.Random(4711)
        self.connection = pymysql.connect(host="127.0.0.1", port=port, user="root", database="tpcc")
        self.cursor = self.connection.cursor()

    def run(self, sql: str, *parameters: object) -> list[tuple]:
        self.cursor.execute(sql, parameters)
        return list(self.cursor.fetchall())

    def fill(self) -> None:
        for table in TABLES:
            self.run(f"CREATE TABLE {table}")
        self.run("INSERT INTO warehouse VALUES (1, 'one', 'Main', 'Town', '12345', 0.1, 0)")
        for item in range(1, ITEMS + 1):
            self.run("INSERT INTO item (i_id, i_name, i_price, i_data) VALUES (%s, %s, %s, %s)", item, "thing", 3.5, "new")
        self.cursor.executemany(
            "INSERT INTO stock VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [(1, item, 50, 0, 0, 0, "data") for item in range(1, ITEMS + 1)],
        )
        for district in range(1, DISTRICTS + 1):
            self.run("INSERT INTO district VALUES (1, %s, 'd', 'Side', 'Town', 0.2, 0, 1)", district)
            for customer in range(1, CUSTOMERS + 1):
                self.run(
                    "INSERT INTO customer VALUES (1, %s, %s, 'first', 'OE', %s, %s, 0.1, -10, 10, 1, 0, 'data')",
                    *(district, customer, NAMES[customer % len(NAMES)], "BC" if customer % 10 == 0 else "GC"),
                )
        self.connection.commit()

    def new_order(self) -> None:
        district, customer = self.random.randint(1, DISTRICTS), self.random.randint(1, CUSTOMERS)
        items = [self.random.randint(1, ITEMS) for _ in range(self.random.randint(2, 6))]
        self.run(
            "SELECT c_discount, c_last, c_credit, w_tax FROM customer, warehouse WHERE w_id = %s AND c_w_id = w_id AND "
            "c_d_id = %s AND c_id = %s",
            *(1, district, customer),
        )
        [(order, _)] = self.run(
            "SELECT d_next_o_id, d_tax FROM district WHERE d_w_id = %s AND d_id = %s FOR UPDATE", 1, district
        )
        self.run("UPDATE district SET d_next_o_id = %s WHERE d_id = %s AND d_w_id = %s", order + 1, district, 1)
        self.run(
            "INSERT INTO orders (o_id, o_d_id, o_w_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local) "
            "VALUES (%s, %s, %s, %s, NOW(), %s, %s)",
            *(order, district, 1, customer, len(items), 1),
        )
        self.run("INSERT INTO new_order (no_o_id, no_d_id, no_w_id) VALUES (%s, %s, %s)", order, district, 1)
        if self.random.random() < 0.02:
            items[-1] = ITEMS + 1
        for number, item in enumerate(items, 1):
            found = self.run("SELECT i_price, i_name, i_data FROM item WHERE i_id = %s", item)
            if not found:
                self.connection.rollback()
                return
            [(quantity, _)] = self.run(
                "SELECT s_quantity, s_data FROM stock WHERE s_i_id = %s AND s_w_id = %s FOR UPDATE", item, 1
            )
            left = quantity - 5 if quantity > 15 else quantity + 86
            self.run("UPDATE stock SET s_quantity = %s WHERE s_i_id = %s AND s_w_id = %s", left, item, 1)
            self.run(
                "INSERT INTO order_line (ol_o_id, ol_d_id, ol_w_id, ol_number, ol_i_id, ol_supply_w_id, ol_quantity, "
                "ol_amount) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                *(order, district, 1, number, item, 1, 5, found[0][0] * 5),
            )
        self.connection.commit()

    def customer(self, district: int, columns: str) -> tuple | None:
        """By its name in some cases, else by its number."""
        if self.random.random() < 0.3:
            name = self.random.choice(NAMES)
            [(count,)] = self.run(
                "SELECT COUNT(c_id) FROM customer WHERE c_last = %s AND c_d_id = %s AND c_w_id = %s", name, district, 1
            )
            found = self.run(
                f"SELECT {columns} FROM customer WHERE c_w_id = %s AND c_d_id = %s AND c_last = %s ORDER BY c_first",
                *(1, district, name),
            )
            return found[count // 2] if found else None
        number = self.random.randint(1, CUSTOMERS)
        found = self.run(
            f"SELECT {columns} FROM customer WHERE c_w_id = %s AND c_d_id = %s AND c_id = %s", 1, district, number
        )
        return found[0] if found else None

    def payment(self) -> None:
        district, amount = self.random.randint(1, DISTRICTS), self.random.randint(1, 500)
        self.run("UPDATE warehouse SET w_ytd = w_ytd + %s WHERE w_id = %s", amount, 1)
        self.run("SELECT w_street, w_city, w_zip, w_name FROM warehouse WHERE w_id = %s", 1)
        self.run("UPDATE district SET d_ytd = d_ytd + %s WHERE d_w_id = %s AND d_id = %s", amount, 1, district)
        self.run("SELECT d_street, d_city, d_name FROM district WHERE d_w_id = %s AND d_id = %s", 1, district)
        found = self.customer(district, "c_id, c_first, c_last, c_credit, c_balance")
        if found and found[3] == "BC":
            self.run(
                "SELECT c_data FROM customer WHERE c_w_id = %s AND c_d_id = %s AND c_id = %s", 1, district, found[0]
            )
            self.run(
                "UPDATE customer SET c_balance = %s, c_data = %s WHERE c_w_id = %s AND c_d_id = %s AND c_id = %s",
                *(found[4] - amount, "more data", 1, district, found[0]),
            )
        elif found:
            self.run(
                "UPDATE customer SET c_balance = %s WHERE c_w_id = %s AND c_d_id = %s AND c_id = %s",
                *(found[4] - amount, 1, district, found[0]),
            )
        self.run(
            "INSERT INTO history (h_c_d_id, h_c_w_id, h_c_id, h_d_id, h_w_id, h_date, h_amount, h_data) "
            "VALUES (%s, %s, %s, %s, %s, NOW(), %s, %s)",
            *(district, 1, found[0] if found else 0, district, 1, amount, "one d"),
        )
        self.connection.commit()

    def order_status(self) -> None:
        district = self.random.randint(1, DISTRICTS)
        found = self.customer(district, "c_balance, c_first, c_middle, c_id")
        order = self.run(
            "SELECT o_id, o_carrier_id, o_entry_d FROM orders WHERE o_w_id = %s AND o_d_id = %s AND o_c_id = %s "
            "ORDER BY o_id DESC LIMIT 1",
            *(1, district, found[3] if found else 0),
        )
        if order:
            self.run(
                "SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d FROM order_line "
                "WHERE ol_w_id = %s AND ol_d_id = %s AND ol_o_id = %s",
                *(1, district, order[0][0]),
            )
        self.connection.commit()

    def delivery(self) -> None:
        for district in range(1, DISTRICTS + 1):
            found = self.run(
                "SELECT no_o_id FROM new_order WHERE no_d_id = %s AND no_w_id = %s ORDER BY no_o_id LIMIT 1 FOR UPDATE",
                *(district, 1),
            )
            if not found:
                continue
            place = (found[0][0], district, 1)
            self.run("DELETE FROM new_order WHERE no_o_id = %s AND no_d_id = %s AND no_w_id = %s", *place)
            [(customer,)] = self.run("SELECT o_c_id FROM orders WHERE o_id = %s AND o_d_id = %s AND o_w_id = %s", *place)
            self.run("UPDATE orders SET o_carrier_id = %s WHERE o_id = %s AND o_d_id = %s AND o_w_id = %s", 7, *place)
            self.run(
                "UPDATE order_line SET ol_delivery_d = NOW() WHERE ol_o_id = %s AND ol_d_id = %s AND ol_w_id = %s", *place
            )
            [(total,)] = self.run(
                "SELECT SUM(ol_amount) FROM order_line WHERE ol_o_id = %s AND ol_d_id = %s AND ol_w_id = %s", *place
            )
            self.run(
                "UPDATE customer SET c_balance = c_balance + %s, c_delivery_cnt = c_delivery_cnt + 1 "
                "WHERE c_id = %s AND c_d_id = %s AND c_w_id = %s",
                *(total or 0, customer, district, 1),
            )
        self.connection.commit()

    def stock_level(self) -> None:
        district = self.random.randint(1, DISTRICTS)
        [(order,)] = self.run("SELECT d_next_o_id FROM district WHERE d_w_id = %s AND d_id = %s", 1, district)
        self.run(
            "SELECT COUNT(DISTINCT s_i_id) FROM order_line, stock WHERE ol_w_id = %s AND ol_d_id = %s AND ol_o_id < %s "
            "AND ol_o_id >= %s AND s_w_id = %s AND s_i_id = ol_i_id AND s_quantity < %s",
            *(1, district, order, order - 20, 1, 15),
        )
        self.connection.commit()


def main() -> None:
    load = Load(int(sys.argv[1]))
    load.fill()
    mix = [load.new_order] * 45 + [load.payment] * 43 + [load.order_status] * 4 + [load.delivery] * 4 + [load.stock_level] * 4
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 400):
        load.random.choice(mix)()


if __name__ == "__main__":
    main()
