//! Proving who we are, by the method that the server asks for.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use crate::connection::{Connection, Server};
use crate::cursor::Cursor;
use crate::failure::Failure;

/// Answers until the server is ready for a statement.
///
/// # Errors
/// [`Failure`], with the setting if the password is missing.
pub fn log_in(connection: &mut Connection, server: &Server) -> Result<(), Failure> {
    let mut scram: Option<ScramSha256> = None;
    loop {
        let message = connection.answer()?;
        match message.tag {
            b'R' => {}
            b'Z' => return Ok(()),
            _ => continue,
        }
        let mut body = Cursor(&message.body);
        let method = body.u32();
        let mut out = BytesMut::new();
        let built = match method {
            // 0 is success, 12 the server's own proof.
            Some(0) => Ok(()),
            Some(3) => frontend::password_message(password(server)?, &mut out),
            Some(5) => {
                let salt = body.0.first_chunk().copied().unwrap_or_default();
                let hash = md5_hash(server.user.as_bytes(), password(server)?, salt);
                frontend::password_message(hash.as_bytes(), &mut out)
            }
            Some(10) => {
                let offered = String::from_utf8_lossy(body.0);
                if !offered.split('\0').any(|name| name == SCRAM_SHA_256) {
                    let text = "it offers no SCRAM-SHA-256: allow scram-sha-256 in pg_hba.conf";
                    return Err(Failure::Setting(format!("{}: {text}", server.place())));
                }
                let begun = ScramSha256::new(password(server)?, ChannelBinding::unsupported());
                let scram = scram.insert(begun);
                frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out)
            }
            Some(11) => match &mut scram {
                Some(scram) => scram
                    .update(body.0)
                    .and_then(|()| frontend::sasl_response(scram.message(), &mut out)),
                None => return Err(connection.failed("it answers a login that was not begun")),
            },
            Some(12) => match &mut scram {
                Some(scram) => scram.finish(body.0),
                None => return Err(connection.failed("it answers a login that was not begun")),
            },
            _ => {
                let text = "it asks for a login other than password, md5 and scram-sha-256";
                return Err(Failure::Setting(format!(
                    "{}: {text}; see pg_hba.conf",
                    server.place()
                )));
            }
        };
        built.map_err(|error| Failure::Setting(format!("{}: login: {error}", server.place())))?;
        if !out.is_empty() {
            connection.send(&out)?;
        }
    }
}

fn password(server: &Server) -> Result<&[u8], Failure> {
    match &server.password {
        Some(password) => Ok(password.reveal().as_bytes()),
        None => Err(Failure::Setting(format!(
            "{} asks for a password: set --pg-password (PGPASSWORD or PGPASSWORD_FILE)",
            server.place()
        ))),
    }
}
