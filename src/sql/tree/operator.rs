//! Operators of expressions.

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// NOT, or `!`.
    Not,
    /// `-`.
    Minus,
    /// `+`.
    Plus,
    /// `~`.
    BitNot,
}

/// Infix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// OR, `||` without PIPES_AS_CONCAT.
    Or,
    /// AND, `&&`.
    And,
    /// XOR.
    Xor,
    /// `=`.
    Equal,
    /// `<=>`.
    NullSafeEqual,
    /// `<>`, `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
    /// `|`.
    BitOr,
    /// `&`.
    BitAnd,
    /// `<<`, `>>`.
    Shift,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`, DIV, `%`, MOD.
    Divide,
    /// `^`.
    BitXor,
    /// `||` with PIPES_AS_CONCAT.
    Concat,
}

/// What infix operators have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryFamily {
    /// AND, OR, XOR.
    Boolean,
    /// `=`, `<>`, `<=>`.
    Equality,
    /// `<`, `<=`, `>`, `>=`.
    Order,
    /// Calculation with numbers and bits.
    Arithmetic,
    /// `||` of strings.
    Concat,
}

impl BinaryOp {
    /// What it does, roughly.
    pub fn family(self) -> BinaryFamily {
        match self {
            Self::Or | Self::And | Self::Xor => BinaryFamily::Boolean,
            Self::Equal | Self::NullSafeEqual | Self::NotEqual => BinaryFamily::Equality,
            Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual => BinaryFamily::Order,
            Self::BitOr
            | Self::BitAnd
            | Self::Shift
            | Self::Add
            | Self::Subtract
            | Self::Multiply
            | Self::Divide
            | Self::BitXor => BinaryFamily::Arithmetic,
            Self::Concat => BinaryFamily::Concat,
        }
    }
}

/// What IS tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IsTest {
    /// NULL.
    Null,
    /// TRUE.
    True,
    /// FALSE.
    False,
    /// UNKNOWN.
    Unknown,
}

/// Pattern operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// LIKE.
    Like,
    /// REGEXP or RLIKE.
    Regexp,
    /// SOUNDS LIKE.
    SoundsLike,
    /// MEMBER OF.
    MemberOf,
}
