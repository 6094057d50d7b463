"""What an order costs."""

import unittest

from shop.prices import total


class TotalTest(unittest.TestCase):
    def test_a_dozen_is_cheaper(self) -> None:
        self.assertEqual(total(100, 11), 1100)
        self.assertEqual(total(100, 12), 1080)
        self.assertEqual(total(100, 25), 2260)

    def test_nothing_is_no_order(self) -> None:
        with self.assertRaises(ValueError):
            total(100, 0)
