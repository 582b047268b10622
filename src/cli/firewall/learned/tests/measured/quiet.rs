//! Attacks on the vulnerable shop without a mark that a signature could know: what the profile alone can refuse. Some of
//! them do no harm, and some are what the shop's own forms could have sent; no weights refuse all.

/// In the place of a number.
const NUMBERS: [&str; 34] = [
    "2-1",
    "id",
    "price",
    "price-3",
    "-id",
    "~id",
    "1|0",
    "ABS(id)",
    "LENGTH(name)",
    "USER()",
    "LENGTH(DATABASE())",
    "@@version",
    "(SELECT MIN(id) FROM secrets)",
    "1 AND (SELECT COUNT(*) FROM secrets) > 0",
    "1 AND EXISTS (SELECT * FROM secrets WHERE token LIKE 'k%')",
    "1 AND id IN (SELECT id FROM secrets)",
    "1 UNION SELECT id, token, id FROM secrets",
    "1 UNION SELECT id, name, password FROM users",
    "1 OR price",
    "1 OR stock > 2",
    "1 OR id IN (1, 2, 3)",
    "1 XOR stock",
    "1 AND price <=> stock",
    "1 AND id = price",
    "1 AND LEFT(name, 1) = 'h'",
    "1 AND LENGTH(name) = 6",
    "1 AND category LIKE 't%'",
    "1 AND category > 't'",
    "1 AND category BETWEEN 'a' AND 'u'",
    "1 AND category REGEXP '^t' AND stock > 1",
    "1 AND NOT stock",
    "1 AND name = 'hammer' AND category = 'tools'",
    "1 ORDER BY stock",
    "1 ORDER BY LENGTH(category)",
];
const WHERE: &str = "SELECT id, name, price FROM products WHERE id = {}";
/// Where nothing but an expression fits.
const EXPRESSION: [&str; 2] = [
    "SELECT id, name, price FROM products WHERE stock > 0 ORDER BY {}",
    "INSERT INTO comments (product, author, text) VALUES ({}, 'ann', 'good')",
];
/// In the place of a string, where a secret column is near.
const STRINGS: [&str; 10] = [
    "ann' AND password LIKE 'c%",
    "ann' AND password > 'c",
    "ann' AND password REGEXP '^c' AND name = 'ann",
    "ann' OR password LIKE 'c%",
    "ann' OR name = 'bob",
    "ann' AND id = (SELECT id FROM secrets) AND name = 'ann",
    "ann' AND nickname = password AND name = 'ann",
    "ann' AND LEFT(password, 1) = 'c",
    "ann' AND ASCII(password) > '99",
    "ann' UNION SELECT token, token FROM secrets WHERE token > '",
];
const ACCOUNTS: &str = "SELECT name, nickname FROM users WHERE name = '{}'";
const UPDATE: &str = "UPDATE users SET nickname = 'x' WHERE name = '{}'";

/// Honest statements with a UNION, with a sub-query and with a join: they bring what an injection adds into the profile.
pub(super) const RICH: [&str; 3] = [
    "SELECT id, name FROM products WHERE category = 'x' UNION SELECT id, name FROM visitors WHERE id = 1",
    "SELECT id, name FROM products WHERE id IN (SELECT product FROM comments WHERE author = 'ann')",
    "SELECT COUNT(*) FROM products p JOIN comments c ON c.product = p.id WHERE p.stock > 0",
];

/// The statements that come of them.
pub(super) fn statements() -> Vec<String> {
    let paste = |frame: &str, values: &[&str]| -> Vec<String> {
        values.iter().map(|value| frame.replace("{}", value)).collect()
    };
    let is_expression = |value: &&str| !value.contains(" ORDER BY ") && !value.contains(" UNION ");
    let expressions: Vec<&str> = NUMBERS.into_iter().filter(is_expression).collect();
    let unions = |value: &&str| !value.contains(" UNION ");
    let conditions: Vec<&str> = STRINGS.into_iter().filter(unions).collect();
    let mut found = paste(WHERE, &NUMBERS);
    found.extend(EXPRESSION.iter().flat_map(|frame| paste(frame, &expressions)));
    found.extend(paste(ACCOUNTS, &STRINGS));
    found.extend(paste(UPDATE, &conditions));
    found
}
