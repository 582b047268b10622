//! `candado inspect`: the fields of a sealed value. Knows no key: what is inside stays inside.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::Serialize;

use super::Failure;
use super::output::Output;
use crate::crypto::Envelope;

/// No envelope that a server stores in one packet is longer.
const INPUT_OCTETS_MAX: u64 = 1 << 30;

/// What is inspected.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The value in hexadecimal, as HEX(column) or a client prints it; 0x and x'..' around it are allowed. Without it the
    /// value is read from standard input, in hexadecimal or as bytes.
    value: Option<String>,
    /// Read the value from a file, in hexadecimal or as bytes.
    #[arg(short, long, conflicts_with = "value")]
    file: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Fields {
    version: u8,
    index_version: Option<u16>,
    index: Option<String>,
    key_id: u32,
    padded: bool,
    row_bound: bool,
    nonce: String,
    ciphertext_octets: usize,
    tag: String,
    octets: usize,
}

/// Prints the fields.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bytes = match (&arguments.value, &arguments.file) {
        (Some(value), _) => {
            hexadecimal(value.as_bytes()).ok_or_else(|| Failure::Usage(anyhow!("the value is not in hexadecimal")))?
        }
        (None, Some(path)) => {
            let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            decode(read(file)?)
        }
        (None, None) => decode(read(std::io::stdin())?),
    };
    let fields = fields(&bytes)?;
    let output = Output::new();
    if arguments.json {
        return Ok(output.json(&fields)?);
    }
    Ok(output.line(text(&fields))?)
}

fn read(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(INPUT_OCTETS_MAX).read_to_end(&mut bytes).context("cannot read the value")?;
    Ok(bytes)
}

/// Hexadecimal if it is that, else the bytes themselves: an envelope's first byte is no hexadecimal digit.
fn decode(bytes: Vec<u8>) -> Vec<u8> {
    hexadecimal(&bytes).unwrap_or(bytes)
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    let digits = match text.split_at_checked(2) {
        Some((b"0x" | b"0X", digits)) => digits,
        Some((b"x'" | b"X'", rest)) => rest.strip_suffix(b"'")?,
        Some(_) | None => text,
    };
    HEXLOWER_PERMISSIVE.decode(digits).ok()
}

fn fields(bytes: &[u8]) -> anyhow::Result<Fields> {
    let envelope = Envelope::parse(bytes).context("this is no sealed value")?;
    Ok(Fields {
        version: 1,
        index_version: envelope.index_version().map(|version| version.number()),
        index: envelope.index().map(|index| HEXLOWER.encode(index)),
        key_id: envelope.kid().number(),
        padded: envelope.is_padded(),
        row_bound: envelope.is_row_bound(),
        nonce: HEXLOWER.encode(envelope.nonce()),
        ciphertext_octets: envelope.ciphertext().len(),
        tag: HEXLOWER.encode(envelope.tag()),
        octets: bytes.len(),
    })
}

fn text(fields: &Fields) -> String {
    let yes_or_no = |answer| if answer { "yes" } else { "no" };
    let index = match (&fields.index, fields.index_version) {
        (Some(index), Some(version)) => format!("{index} (index key version {version})"),
        (Some(_) | None, _) => "none".to_owned(),
    };
    format!(
        "format      FE1, version {} (XAES-256-GCM)\nkey id      {}\nindex       {index}\npadded      {}\n\
         row-bound   {}\nnonce       {}\nciphertext  {} bytes\ntag         {}\ntotal       {} bytes",
        fields.version,
        fields.key_id,
        yes_or_no(fields.padded),
        yes_or_no(fields.row_bound),
        fields.nonce,
        fields.ciphertext_octets,
        fields.tag,
        fields.octets
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answer of crypto/envelope.md, "phone idx16 pad16".
    const KNOWN: &str = "c1fe1d01100001ec88e68bf9d4ad84a782469f88c4992f0200000007404142434445464748494a4b4c4d4e4f50\
        515253545556\
        5782db016ad0701c8932ec2d83f6540b05956aedbcccd79c2abc24c859e8875419";

    #[test]
    fn the_known_answer_has_its_fields() {
        for written in [KNOWN.to_owned(), format!("0x{}", KNOWN.to_uppercase()), format!("x'{KNOWN}'\n")] {
            let fields = fields(&hexadecimal(written.as_bytes()).unwrap()).unwrap();
            assert_eq!((fields.key_id, fields.index_version), (7, Some(1)));
            assert_eq!(fields.index.as_deref(), Some("ec88e68bf9d4ad84a782469f88c4992f"));
            assert_eq!(
                (fields.padded, fields.row_bound, fields.ciphertext_octets, fields.octets),
                (true, false, 16, 84)
            );
        }
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        assert!(fields(b"+819012345678").is_err());
        let mut cut = hexadecimal(KNOWN.as_bytes()).unwrap();
        cut.truncate(50);
        assert!(fields(&cut).is_err());
        assert_eq!(hexadecimal(b"xyz"), None);
    }

    #[test]
    fn bytes_are_taken_as_they_are() {
        let bytes = hexadecimal(KNOWN.as_bytes()).unwrap();
        assert_eq!(decode(bytes.clone()), bytes);
        assert_eq!(decode(KNOWN.into()), bytes);
    }
}
