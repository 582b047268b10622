//! Where lines go: segments of a file, standard output, syslog.

mod segments;
mod syslog;

use std::io::{self, Write};

use super::chain::{Chain, ChainEnd, ChainId, Mark, NOTHING_BEFORE};
use super::{AuditError, Line, ProxyKey, Target};
use segments::File;
use syslog::Syslog;

/// What all lines of a record have in common.
#[derive(Debug)]
struct Identity {
    deployment: String,
    kid: u32,
    name: String,
    chain: ChainId,
    /// The segment's number.
    segment: u64,
}

impl Identity {
    fn head(&self, before: Mark) -> Line {
        let Self { deployment, kid, name, chain, segment } = self;
        Line::Head {
            kid: *kid,
            deployment: deployment.clone(),
            name: name.clone(),
            chain: *chain,
            segment: *segment,
            before: before.mac,
        }
    }
}

/// A place for lines, and the chain that they stand in.
#[derive(Debug)]
pub(super) struct Sink {
    identity: Identity,
    chain: Chain,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(File),
    Stdout,
    Syslog(Syslog),
}

impl Sink {
    /// Goes on with what is there, or begins anew, and writes that the proxy has started.
    pub(super) fn open(target: &Target, key: ProxyKey, at: &str) -> Result<Self, AuditError> {
        let mut sink = match target {
            Target::File(settings) => segments::open(settings.clone(), key)?,
            Target::Stdout => fresh(key, Place::Stdout)?,
            Target::Syslog(settings) => {
                let failed = |source| AuditError::Target { target: "syslog", source };
                fresh(key, Place::Syslog(Syslog::connect(settings).map_err(failed)?))?
            }
        };
        let start = Line::Start { version: env!("CARGO_PKG_VERSION").to_owned() };
        let mut lines = vec![start];
        if !matches!(sink.place, Place::File(_)) {
            lines.insert(0, sink.identity.head(Mark { seq: 0, mac: NOTHING_BEFORE }));
        }
        sink.write(&lines, at).map_err(|source| match target {
            Target::File(settings) => AuditError::File { path: settings.path.clone(), source },
            Target::Stdout => AuditError::Target { target: "standard output", source },
            Target::Syslog(_) => AuditError::Target { target: "syslog", source },
        })?;
        Ok(sink)
    }

    /// Where the record ends.
    pub(super) fn end(&self) -> ChainEnd {
        let Mark { seq, mac } = self.chain.mark();
        ChainEnd { name: self.identity.name.clone(), chain: self.identity.chain, seq, mac }
    }

    /// Writes lines. After a failure the chain is as before; of a datagram's lines some may have been sent.
    pub(super) fn write(&mut self, lines: &[Line], at: &str) -> io::Result<()> {
        let Self { identity, chain, place } = self;
        match place {
            Place::File(file) => file.write(identity, chain, lines, at),
            Place::Stdout => {
                let before = chain.mark();
                let bytes = put_all(chain, lines, at);
                let mut out = io::stdout().lock();
                out.write_all(&bytes).and_then(|()| out.flush()).inspect_err(|_| chain.put_back(before))
            }
            Place::Syslog(syslog) => lines.iter().try_for_each(|line| {
                let before = chain.mark();
                let bytes = put_all(chain, std::slice::from_ref(line), at);
                syslog.send(&bytes, at).inspect_err(|_| chain.put_back(before))
            }),
        }
    }
}

fn put_all(chain: &mut Chain, lines: &[Line], at: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len().saturating_mul(512));
    for line in lines {
        chain.put(line, at, &mut out);
    }
    out
}

/// A record that begins now.
fn fresh(key: ProxyKey, place: Place) -> Result<Sink, AuditError> {
    let ProxyKey { deployment, kid, name, key } = key;
    let identity = Identity { deployment, kid, name, chain: new_chain()?, segment: 1 };
    Ok(Sink { identity, chain: Chain::new(key), place })
}

fn new_chain() -> Result<ChainId, AuditError> {
    Ok(ChainId(getrandom::u64().map_err(|_| AuditError::NoRandom)?.to_be_bytes()))
}
