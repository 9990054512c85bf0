//! The clients that a person selected in the list: disabled, enabled, or taken away as a file.

use auth::client::Client;
use auth::family::Family;
use auth::sql::FAMILIES_OF_CLIENT;
use axum::response::IntoResponse as _;
use http::StatusCode;
use kernel::id::{self, Id};
use serde_json::{Value, json};
use store::params;

use super::ask::Seat;
use super::clients::{self, COLUMNS, READ, WRITE};
use super::export::{self, Format, Part, Reading};
use super::refused::{Answer, Refused};
use crate::address::counted;
use crate::pages::client::MOST_COUNTED;
use crate::pages::selection::{self, Question, Row, Told};

/// Most clients of one selection: a page of the list has no more.
const MOST: usize = 200;

pub(super) async fn act(seat: Seat) -> Answer {
    let ask = &seat.ask;
    let mut selected: Vec<String> = Vec::new();
    for client_id in ask.fields("client") {
        if !selected.contains(&client_id) {
            selected.push(client_id);
        }
    }
    let sentence = match selected.len() {
        0 => Some("Nothing is selected. Go back and select clients in the list.".to_owned()),
        n if n > MOST => Some(format!("{n} clients are selected, and {MOST} at a time is the most.")),
        _ => None,
    };
    if let Some(sentence) = sentence {
        return Err(Refused::page(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", sentence));
    }
    match ask.field("do") {
        "enable" => set_enabled(&seat, selected, true).await,
        "disable" if ask.field("sure") == "1" => set_enabled(&seat, selected, false).await,
        "disable" => question(&seat, selected).await,
        other => match Format::parse(other) {
            Some(format) => file(&seat, format, selected).await,
            None => Err(Refused::not_found()),
        },
    }
}

/// Where the list is that the selection was made in.
fn list(seat: &Seat) -> String {
    seat.ask.next(seat.ask.field("next"))
}

/// What disabling these clients would end.
async fn question(seat: &Seat, selected: Vec<String>) -> Answer {
    seat.need(WRITE)?;
    let ask = &seat.ask;
    let (mut rows, mut active, mut families) = (Vec::new(), 0_usize, 0_usize);
    for client_id in selected {
        let Some(client) = ask.auth.read_client(ask.tenant.id, &client_id).await? else {
            rows.push(Row::gone(client_id));
            continue;
        };
        let told = if client.disabled_at.is_some() {
            Told::Words("It is disabled already.".to_owned())
        } else {
            let live = live_families(seat, &client).await?;
            active = active.saturating_add(1);
            families = families.saturating_add(live);
            Told::Words(if live == 0 { String::new() } else { counted_families(live) })
        };
        let status = client.status(ask.now).name();
        rows.push(Row { name: clients::name(&client), status: Some(status), client_id, told });
    }
    let ended =
        if families == 0 { "No refresh family lives.".to_owned() } else { format!("{} with them.", ends(families)) };
    let question = Question {
        title: format!("Disable {}", counted(active, "client")),
        consequence: format!(
            "They get no more tokens, and every token that they hold is inactive from the next request on. {ended}"
        ),
    };
    Ok(selection::ask(&seat.visit(), &question, &rows, &list(seat)).into_response())
}

fn counted_families(live: usize) -> String {
    let more = if live >= MOST_COUNTED { "+" } else { "" };
    format!("{live}{more} live refresh {}", if live == 1 { "family" } else { "families" })
}

fn ends(families: usize) -> String {
    format!("{families} live refresh {}", if families == 1 { "family ends" } else { "families end" })
}

async fn live_families(seat: &Seat, client: &Client) -> Result<usize, Refused> {
    let ask = &seat.ask;
    let limit = i64::try_from(MOST_COUNTED).unwrap_or(i64::MAX);
    let place = params![ask.tenant.id, client.id, ask.now, Id::<id::Family>::from_bytes([0; 16]), limit];
    let rows = ask.auth.store.read_all(&FAMILIES_OF_CLIENT, place).await?;
    Ok(rows.iter().map(Family::from_row).collect::<Result<Vec<_>, _>>()?.len())
}

/// Each client in a commit of its own, with its own record; what one of them meets does not stop the others.
async fn set_enabled(seat: &Seat, selected: Vec<String>, enabled: bool) -> Answer {
    seat.need(WRITE)?;
    let (mut rows, mut changed, mut failed) = (Vec::new(), Vec::new(), 0_usize);
    for client_id in selected {
        let (row, is_changed) = change(seat, client_id, enabled).await;
        failed = failed.saturating_add(usize::from(matches!(row.told, Told::Failed(_))));
        if is_changed {
            changed.push(row.client_id.clone());
        }
        rows.push(row);
    }
    let (word, back) = if enabled { ("enabled", "disable") } else { ("disabled", "enable") };
    let are = if changed.len() == 1 { "is" } else { "are" };
    let sentence = format!("{} {are} {word}", counted(changed.len(), "client"));
    let mut undo = vec![("do", back.to_owned()), ("sure", "1".to_owned()), ("next", list(seat))];
    undo.extend(changed.iter().map(|client_id| ("client", client_id.clone())));
    if failed == 0 {
        let undo = (!changed.is_empty()).then(|| (format!("{}/identity/selected-clients", seat.ask.root), undo));
        return Ok(seat.done(&list(seat), sentence, undo));
    }
    let title = format!("{sentence}, {failed} not");
    Ok(selection::told(&seat.visit(), &title, &rows, &list(seat)).into_response())
}

async fn change(seat: &Seat, client_id: String, enabled: bool) -> (Row, bool) {
    let ask = &seat.ask;
    let client = match ask.auth.read_client(ask.tenant.id, &client_id).await {
        Ok(Some(client)) => client,
        Ok(None) => return (Row::gone(client_id), false),
        Err(error) => return (Row::failed(client_id.clone(), client_id, Refused::from(error).sentence().1), false),
    };
    let (name, word) = (clients::name(&client), if enabled { "enabled" } else { "disabled" });
    if client.disabled_at.is_none() == enabled {
        let told = Told::Words(format!("It was {word} already."));
        return (Row { status: Some(client.status(ask.now).name()), name, client_id, told }, false);
    }
    let planned = ask.auth.set_client_enabled(&seat.who, &ask.tenant, &client_id, None, enabled).await;
    let done = match planned {
        Ok(planned) if enabled => ask.auth.run(planned).await,
        Ok(planned) => ask.auth.run_reserved(planned).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(made) => {
            let told = Told::Words(format!("It is {word} now."));
            (Row { status: Some(made.client.status(ask.now).name()), name, client_id, told }, true)
        }
        Err(error) => (Row::failed(client_id, name, Refused::from(error).sentence().1), false),
    }
}

/// The selected clients as a file, in the order of the list; what is gone meanwhile has nothing but its id.
async fn file(seat: &Seat, format: Format, selected: Vec<String>) -> Answer {
    seat.need(READ)?;
    let ask = &seat.ask;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for client_id in selected {
        let found = ask.auth.read_client(ask.tenant.id, &client_id).await?;
        rows.push(found.map_or_else(
            || {
                COLUMNS
                    .iter()
                    .map(|column| if *column == "client_id" { json!(client_id) } else { Value::Null })
                    .collect()
            },
            |client| clients::values(&client, ask.now),
        ));
    }
    let read = move |_: Option<()>| -> Reading<()> {
        let rows = rows.clone();
        Box::pin(async move { Ok(Part { rows, next: None }) })
    };
    Ok(export::file(format, "clients-selected", COLUMNS, read))
}
