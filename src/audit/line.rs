//! One record as a line of text: written by the chain, read by verification, search and report.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;

use super::chain::{ChainId, Code};
use super::{Disclosure, Share};

/// What a segment begins with.
pub const MAGIC: &[u8] = b"h\t";
/// The form of the lines.
pub(super) const FORMAT: u32 = 1;

/// Fields of an access behind kind, number and time.
const ACCESS_FIELDS: usize = 12;

/// A record, before it has a number, a time and a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A segment begins.
    Head {
        /// The audit key that the access key was made from.
        kid: u32,
        /// The deployment.
        deployment: String,
        /// Whose record it is.
        name: String,
        /// Tells this record from others of the same name.
        chain: ChainId,
        /// The segment's number, from 1.
        segment: u64,
        /// The code of the record before.
        before: Code,
    },
    /// The proxy started.
    Start {
        /// Its version.
        version: String,
    },
    /// A statement showed protected cells, or searched by such columns.
    Access(Box<Disclosure>),
    /// Records were lost.
    Gap {
        /// How many.
        lost: u64,
    },
}

impl Line {
    /// Whether something is missing when it is not written. Of what has only begun nothing went out without its record.
    pub(super) fn shows(&self) -> bool {
        match self {
            Self::Access(disclosure) => disclosure.outcome != super::Outcome::Begun,
            Self::Head { .. } | Self::Start { .. } | Self::Gap { .. } => false,
        }
    }

    /// Appends all but number, time and code.
    pub(super) fn put_fields(&self, out: &mut String) {
        match self {
            Self::Head { kid, deployment, name, chain, segment, before } => {
                put(out, format_args!("{FORMAT}\t{deployment}\t{kid}\t"));
                field(out, name);
                put(out, format_args!("\t{chain}\t{segment}\t{}", HEXLOWER.encode(before)));
            }
            Self::Start { version } => field(out, version),
            Self::Access(disclosure) => access(disclosure, out),
            Self::Gap { lost } => put(out, format_args!("{lost}")),
        }
    }

    /// The letter that the line begins with.
    pub(super) fn kind(&self) -> char {
        match self {
            Self::Head { .. } => 'h',
            Self::Start { .. } => 's',
            Self::Access(_) => 'a',
            Self::Gap { .. } => 'g',
        }
    }
}

fn access(disclosure: &Disclosure, out: &mut String) {
    let Disclosure { account, client, role, application, asked, connection, statement, outcome, rows, columns } =
        disclosure;
    field(out, &format!("{}@{}", account.user, account.host));
    out.push('\t');
    // An IPv4 address that came over IPv6 is searched for as what it is.
    let client = std::net::SocketAddr::new(client.ip().to_canonical(), client.port());
    put(out, format_args!("{client}\t"));
    field(out, role);
    for said in [asked.application.as_ref().or(application.as_ref()), asked.traceparent.as_ref()] {
        out.push('\t');
        field(out, said.map_or("", |text| text));
    }
    put(out, format_args!("\t{}", HEXLOWER.encode(&asked.digest)));
    put(out, format_args!("\t{connection}:{statement}\t{}\t{rows}", outcome.name()));
    let total = columns.values().fold(Share::default(), |sum, share| Share {
        opened: sum.opened.saturating_add(share.opened),
        masked: sum.masked.saturating_add(share.masked),
        bait: sum.bait,
        searched: 0,
    });
    put(out, format_args!("\t{}\t{}\t", total.opened, total.masked));
    for (number, (column, Share { opened, masked, bait, searched })) in columns.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        escaped(out, &column.to_string(), b",=");
        put(out, format_args!("={opened}/{masked}"));
        if *bait > 0 || *searched > 0 {
            put(out, format_args!("/{bait}"));
        }
        if *searched > 0 {
            put(out, format_args!("/{searched}"));
        }
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Memory takes everything.
    out.write_fmt(text).unwrap_or(());
}

/// A field's text. Nothing is `-`, and what would end a field or a line is written `\xx`.
fn field(out: &mut String, text: &str) {
    match text {
        "" => out.push('-'),
        "-" => out.push_str("\\2d"),
        text => escaped(out, text, b""),
    }
}

/// The same in a list, whose signs are written so as well.
pub(super) fn escaped(out: &mut String, text: &str, signs: &[u8]) {
    for letter in text.chars() {
        let is_sign = u8::try_from(letter).is_ok_and(|byte| signs.contains(&byte));
        if letter == '\\' || letter.is_ascii_control() || is_sign {
            put(out, format_args!("\\{:02x}", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
}

/// A text as a field holds it, for comparison with fields as they are written.
pub(super) fn as_field(text: &str) -> String {
    let mut out = String::new();
    field(&mut out, text);
    out
}

/// The way back.
pub(super) fn unescaped(text: &str) -> String {
    if text == "-" {
        return String::new();
    }
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                out.push(char::from(code));
                out.push_str(part.get(2..).unwrap_or_default());
            }
            None => out.push_str(part),
        }
    }
    out
}

/// A line as it is read: kind, number, time, fields, code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The letter of its kind.
    pub kind: u8,
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: &'a str,
    /// Everything between time and code.
    pub fields: &'a str,
    /// The code.
    pub mac: &'a str,
    /// The bytes under the code, but for the code before.
    pub signed: &'a str,
}

impl<'a> Parsed<'a> {
    /// Reads a line without its line feed. `None` for what is none.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let end = memchr::memrchr(b'\t', line)?.checked_add(1)?;
        let (signed, mac) = line.split_at_checked(end)?;
        let signed = std::str::from_utf8(signed).ok()?;
        let mut parts = signed.strip_suffix('\t')?.splitn(4, '\t');
        let kind = match parts.next()?.as_bytes() {
            [kind @ (b'h' | b's' | b'a' | b'g')] => *kind,
            _ => return None,
        };
        let seq = parts.next()?.parse().ok()?;
        let (at, fields) = (parts.next()?, parts.next()?);
        Some(Self { kind, seq, at, fields, mac: std::str::from_utf8(mac).ok()?, signed })
    }

    /// Its code.
    pub(super) fn code(&self) -> Option<Code> {
        code(self.mac)
    }

    /// The head of a segment, if it is one.
    pub(super) fn head(&self) -> Option<Head> {
        if self.kind != b'h' {
            return None;
        }
        let mut fields = self.fields.split('\t');
        let format: u32 = fields.next()?.parse().ok()?;
        let deployment = fields.next()?.to_owned();
        let kid = fields.next()?.parse().ok()?;
        let name = unescaped(fields.next()?);
        let chain = ChainId::read(fields.next()?)?;
        let segment = fields.next()?.parse().ok()?;
        let before = code(fields.next()?)?;
        (format == FORMAT && fields.next().is_none()).then_some(Head { deployment, kid, name, chain, segment, before })
    }

    /// The access, if it is one.
    pub fn access(&self) -> Option<Accessed<'a>> {
        if self.kind != b'a' {
            return None;
        }
        let mut parts: [&str; ACCESS_FIELDS] = [""; ACCESS_FIELDS];
        let mut fields = self.fields.split('\t');
        for part in &mut parts {
            *part = fields.next()?;
        }
        let [
            account,
            client,
            role,
            application,
            traceparent,
            digest,
            reference,
            outcome,
            rows,
            opened,
            masked,
            columns,
        ] = parts;
        fields.next().is_none().then_some(())?;
        Some(Accessed {
            seq: self.seq,
            at: self.at,
            account,
            client,
            role,
            application,
            traceparent,
            digest,
            reference,
            outcome,
            rows: rows.parse().ok()?,
            opened: opened.parse().ok()?,
            masked: masked.parse().ok()?,
            columns,
            line: self.signed,
        })
    }

    /// How many records were lost, if it tells that.
    pub fn lost(&self) -> Option<u64> {
        (self.kind == b'g').then(|| self.fields.parse().ok())?
    }
}

/// What a segment's head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) deployment: String,
    pub(super) kid: u32,
    pub(super) name: String,
    pub(super) chain: ChainId,
    pub(super) segment: u64,
    pub(super) before: Code,
}

fn code(text: &str) -> Option<Code> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// An access as it is read. Texts are as the line has them: [`Accessed::text`] gives what they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accessed<'a> {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: &'a str,
    /// `user@host`.
    pub account: &'a str,
    /// Address and port.
    pub client: &'a str,
    /// The role.
    pub role: &'a str,
    /// The application.
    pub application: &'a str,
    /// The trace.
    pub traceparent: &'a str,
    /// The statement's digest.
    pub digest: &'a str,
    /// Connection and statement.
    pub reference: &'a str,
    /// How the result ended.
    pub outcome: &'a str,
    /// Rows.
    pub rows: u64,
    /// Cells opened.
    pub opened: u64,
    /// Cells masked.
    pub masked: u64,
    /// `database.table.column=opened/masked`, with `/bait` or `/bait/searched` behind it where there is any, with commas
    /// between.
    pub columns: &'a str,
    /// The line without its code: [`Parsed::read`] reads it again.
    pub line: &'a str,
}

impl<'a> Accessed<'a> {
    /// What a field stands for.
    pub fn text(field: &str) -> String {
        unescaped(field)
    }

    /// Whether the result had only begun: another record tells of its end, if it came to that.
    pub fn is_begun(&self) -> bool {
        self.outcome == super::Outcome::Begun.name()
    }

    /// The columns as they are written, with what was shown of each.
    pub fn shares(&self) -> impl Iterator<Item = (&'a str, Share)> {
        self.columns.split(',').filter_map(|share| {
            let (column, counts) = share.split_once('=')?;
            let mut counts = counts.split('/');
            let (opened, masked) = (counts.next()?.parse().ok()?, counts.next()?.parse().ok()?);
            let mut more = || counts.next().map_or(Some(0), |count| count.parse().ok());
            let (bait, searched) = (more()?, more()?);
            counts.next().is_none().then_some((column, Share { opened, masked, bait, searched }))
        })
    }
}
