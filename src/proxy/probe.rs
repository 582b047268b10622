//! Two statements of the proxy's own, sent in one go: what the session's state is, and that the server report changes.
//!
//! Sent after the login and whenever the state may have changed unreported. The client sees neither.

use super::end::End;
use super::peer::Peer;
use super::state::{Probed, TRACKED};
use crate::client_error::Complaint;
use crate::wire::command::Command;
use crate::wire::response::{EndMarker, Event, Response, RowFormat};
use crate::wire::{WireError, lenenc, packet};

const QUERY: &str = "SELECT @@session_track_system_variables, @@sql_mode, @@character_set_client, \
     @@character_set_results, CURRENT_USER(), DATABASE(), CURRENT_ROLE()";
/// Bytes of one packet of the answers.
const PACKET_MAX: usize = 1 << 20;

/// What the session's list of reported variables is when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracking {
    /// The client's own, or what this client knows to be the proxy's.
    AsItIs,
    /// An attempt that failed may have written names of the proxy into it: it begins with the server's list again.
    FromDefault,
}

/// Takes back what [`set_statement`] did.
const RESTORE: &str = "SET SESSION session_track_system_variables = DEFAULT, SESSION session_track_schema = DEFAULT";

/// Sends the statements and reads their answers. An error that the server answers with is returned inside.
pub(super) async fn run(server: &mut Peer, end: EndMarker, tracking: Tracking) -> Result<Result<Probed, Vec<u8>>, End> {
    let restored = match tracking {
        Tracking::AsItIs => Answer::Ok,
        Tracking::FromDefault => {
            server.write(&command(RESTORE)).await?;
            answer(server, end).await?
        }
    };
    if let Answer::Err(payload) = restored {
        return Ok(Err(payload));
    }
    let mut commands = Vec::new();
    for sql in [QUERY, &set_statement()] {
        commands.extend_from_slice(&command(sql));
    }
    server.write(&commands).await?;
    let selected = answer(server, end).await?;
    let set = answer(server, end).await?;
    match (selected, set) {
        (Answer::Err(payload), _) | (_, Answer::Err(payload)) => Ok(Err(payload)),
        (Answer::Rows { cells, collation }, Answer::Ok) => {
            probed(cells, collation).map(Ok).ok_or(End::Told(Complaint::StateNotRead))
        }
        (Answer::Ok | Answer::Rows { .. }, Answer::Ok | Answer::Rows { .. }) => {
            Err(End::ServerMalformed(WireError::Unexpected("answer to a probe")))
        }
    }
}

fn command(sql: &str) -> Vec<u8> {
    let mut payload = vec![Command::QUERY];
    payload.extend_from_slice(sql.as_bytes());
    let mut packets = Vec::new();
    packet::put(&payload, 0, &mut packets);
    packets
}

/// The client's list stays in front; `*` has everything already. MySQL refuses a name that stands there twice.
fn set_statement() -> String {
    let missing: String = TRACKED
        .iter()
        .map(|name| {
            format!(", IF(FIND_IN_SET('{name}', REPLACE(@@session_track_system_variables, ' ', '')), NULL, '{name}')")
        })
        .collect();
    format!(
        "SET SESSION session_track_system_variables = IF(@@session_track_system_variables LIKE '%*%', \
         @@session_track_system_variables, CONCAT_WS(',', NULLIF(@@session_track_system_variables, ''){missing})), \
         SESSION session_track_schema = 1"
    )
}

enum Answer {
    Ok,
    Err(Vec<u8>),
    Rows { cells: Vec<Option<Vec<u8>>>, collation: u16 },
}

async fn answer(server: &mut Peer, end: EndMarker) -> Result<Answer, End> {
    let mut response = Response::Header(RowFormat::Text);
    let mut cells = Vec::new();
    let mut collation = 0;
    let mut failed = None;
    while response != Response::Complete {
        let whole = server.whole(PACKET_MAX, "answer to a probe").await?;
        let mut joined = Vec::new();
        let payload = whole.payload(server.input.data(), &mut joined).map_err(End::ServerMalformed)?;
        let (next, event) = response.on_packet(end, whole.first_length, payload).map_err(End::ServerMalformed)?;
        match event {
            Event::Row(row) => cells = text_cells(row).map_err(End::ServerMalformed)?,
            Event::Column(definition) => collation = definition_collation(definition).map_err(End::ServerMalformed)?,
            Event::Err(payload) => failed = Some(payload.to_vec()),
            Event::ColumnCount(_)
            | Event::Param(_)
            | Event::DefinitionsEnd
            | Event::Ok(_)
            | Event::Eof(_)
            | Event::Prepared(_)
            | Event::Line => {}
        }
        response = next;
        server.input.consume(whole.length);
    }
    Ok(match failed {
        Some(payload) => Answer::Err(payload),
        None if cells.is_empty() => Answer::Ok,
        None => Answer::Rows { cells, collation },
    })
}

fn text_cells(row: &[u8]) -> Result<Vec<Option<Vec<u8>>>, WireError> {
    let mut cells = Vec::new();
    let mut rest = row;
    while let Some((first, after)) = rest.split_first() {
        if *first == lenenc::NULL {
            cells.push(None);
            rest = after;
        } else {
            let (cell, after) = lenenc::take_string(rest, "answer to a probe")?;
            cells.push(Some(cell.to_vec()));
            rest = after;
        }
    }
    Ok(cells)
}

/// The collation id in a column definition: after six strings and a length byte.
fn definition_collation(definition: &[u8]) -> Result<u16, WireError> {
    let mut rest = definition;
    for _ in 0..6 {
        rest = lenenc::take_string(rest, "column definition")?.1;
    }
    match rest {
        [_, low, high, ..] => Ok(u16::from_le_bytes([*low, *high])),
        _ => Err(WireError::Truncated("column definition")),
    }
}

fn probed(cells: Vec<Option<Vec<u8>>>, results_collation: u16) -> Option<Probed> {
    let mut cells = cells.into_iter().map(|cell| cell.map(String::from_utf8).transpose());
    let mut next = || cells.next()?.ok();
    Some(Probed {
        tracked_before: next()?.unwrap_or_default(),
        sql_mode: next()??,
        client_charset: next()??,
        results_charset: next()?,
        account: next()??,
        database: next()?,
        roles: next()?,
        results_collation,
    })
}
