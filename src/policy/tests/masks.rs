//! Masks and accesses as policy writes them.

use super::*;

/// The good policy with a role that is masked.
fn with(phone: &str, address: &str, role: &str) -> String {
    let text = GOOD.replace("region = \"JP\" }\n", &format!("region = \"JP\" }}\n{phone}\n"));
    text.replace("type = \"text\"\n", &format!("type = \"text\"\n{address}\n")) + "\n" + role
}

fn refused(phone: &str, role: &str) -> String {
    parse("policy.toml", &with(phone, "mask = \"null\"", role), 1).expect_err("refused").to_string()
}

fn mask_of(written: &str) -> Mask {
    let text = with(written, "mask = \"address\"", "[role.zz]\naccess = \"masked\"");
    let policy = parse("policy.toml", &text, 1).unwrap_or_else(|problems| panic!("{written}: {problems}"));
    // Roles stand in the order of their names.
    let (grant, mask) = policy.masked(RoleId(2), ColumnId(0)).unwrap();
    assert_eq!(grant.column(), ColumnId(0));
    assert_eq!(policy.access(RoleId(2), ColumnId(0)), (Access::Masked, None), "no grant to show the value with");
    (*mask).clone()
}

#[test]
fn masks_are_written_by_name_or_as_tables() {
    let japan = || Some("JP".into());
    for (written, mask) in [
        ("mask = \"phone\"", Mask::Phone { shown: 2, region: japan() }),
        (
            "mask = { kind = \"phone\", shown = 4, region = \"SE\" }",
            Mask::Phone { shown: 4, region: Some("SE".into()) },
        ),
        ("mask = \"email\"", Mask::Email { shown: 1 }),
        ("mask = \"address\"", Mask::Address(AddressPart::Nothing)),
        ("mask = { kind = \"address\", keep = \"city\", after = 1 }", Mask::Address(AddressPart::City { after: 1 })),
        ("mask = { kind = \"first\", shown = 3 }", Mask::First(3)),
        ("mask = { kind = \"last\", shown = 4 }", Mask::Last(4)),
        ("mask = { kind = \"fixed\", text = \"hidden\" }", Mask::Fixed("hidden".into())),
        ("mask = \"hash\"", Mask::Hash),
        ("mask = \"null\"", Mask::Null),
        (
            "mask = { kind = \"template\", text = \"{first:1}…{last:2}\" }",
            Mask::Template([Piece::First(1), Piece::Text("…".into()), Piece::Last(2)].into()),
        ),
    ] {
        assert_eq!(mask_of(written), mask);
    }
}

#[test]
fn what_is_wrong_with_a_mask_is_told_with_its_line() {
    for (written, said) in [
        (
            "mask = \"fone\"",
            "policy.toml:9: unknown value `fone`; did you mean `phone`? Known here: phone, email, address, first, last, fixed, \
             hash, null, template",
        ),
        ("mask = { kind = \"last\", show = 4 }", "policy.toml:9: unknown key `show`; did you mean `shown`?"),
        ("mask = \"last\"", "policy.toml:9: mask: `shown` says how many characters are shown"),
        ("mask = { kind = \"last\", shown = 0 }", "policy.toml:9: mask: `shown` is 1 to 32 characters"),
        ("mask = { kind = \"null\", shown = 1 }", "policy.toml:9: mask: `shown` does not belong to this kind"),
        ("mask = \"fixed\"", "policy.toml:9: mask: `text` says what is shown"),
        (
            "mask = { kind = \"fixed\", text = \"twenty-one characters\" }",
            "policy.toml:9: mask: it is up to 21 characters long, and the column holds 20",
        ),
        (
            "mask = { kind = \"template\", text = \"{middle:2}\" }",
            "policy.toml:9: mask: `{middle:2}`: use {first:n}, {last:n} or {hash}",
        ),
        ("mask = { kind = \"template\", text = \"{last:2\" }", "policy.toml:9: mask: `{` without `}`"),
        (
            "mask = { kind = \"phone\", region = \"Japan\" }",
            "policy.toml:9: mask: region `Japan` is no ISO 3166 code in capitals, such as \"JP\"",
        ),
        ("mask = 4", "policy.toml:9: invalid type: integer `4`, expected the name of a mask, or a table with `kind`"),
    ] {
        assert_eq!(refused(written, "[role.zz]\naccess = \"masked\""), said, "{written}");
    }
}

#[test]
fn a_masked_column_needs_a_mask_and_a_pseudonym_an_index() {
    let text = refused("", "[role.zz]\naccess = \"masked\"");
    assert!(text.contains("role `zz`: `shop.customers.phone` is masked and has no mask"), "{text}");
    let text = refused("", "[role.zz]\naccess = \"deny\"\ncolumns = { \"shop.customers.phone\" = \"masked\" }");
    assert!(text.contains("role `zz`: `shop.customers.phone` is masked and has no mask"), "{text}");
    let hashed = with("mask = \"hash\"", "mask = \"hash\"", "[role.zz]\naccess = \"masked\"");
    let text = parse("policy.toml", &hashed, 1).unwrap_err().to_string();
    assert_eq!(text, "policy.toml:15: mask: a pseudonym needs the column's `index`, whose key and normaliser make it");
}

#[test]
fn the_columns_line_counts_before_the_keysets_and_that_before_the_roles() {
    let role = "[role.zz]\naccess = \"plain\"\nkeysets = { contact = \"ciphertext\" }\n\
        columns = { \"shop.customers.phone\" = { access = \"masked\", mask = { kind = \"last\", shown = 3 } } }";
    let policy = parse("policy.toml", &with("mask = \"null\"", "", role), 1).unwrap();
    let accesses = [ColumnId(0), ColumnId(1)].map(|column| policy.access(RoleId(2), column).0);
    assert_eq!(accesses, [Access::Masked, Access::Ciphertext]);
    let bases = [ColumnId(0), ColumnId(1)].map(|column| policy.basis(RoleId(2), column));
    assert_eq!(bases, [Basis::Column, Basis::Keyset]);
    assert_eq!(policy.basis(RoleId(1), ColumnId(0)), Basis::Role);
    assert_eq!(*policy.masked(RoleId(2), ColumnId(0)).unwrap().1, Mask::Last(3), "the role's own mask");
    assert!(policy.masked(RoleId(2), ColumnId(1)).is_none());

    let wrong = role.replace("contact", "kontact");
    let text = parse("policy.toml", &with("", "", &wrong), 1).unwrap_err().to_string();
    assert!(text.contains("role `zz`: keyset `kontact` is not among `keysets`; did you mean `contact`?"), "{text}");
    let wrong = role.replace("access = \"masked\", mask", "access = \"deny\", mask");
    let text = parse("policy.toml", &with("", "", &wrong), 1).unwrap_err().to_string();
    assert!(text.contains("role `zz`: a mask belongs to access \"masked\""), "{text}");
}
