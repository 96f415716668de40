//! An HTTP service over a store: the counterpart of the FastAPI example of the Python original.
//!
//! ```sh
//! cargo run -p persist-dated --example service
//! curl -X PUT -H 'content-type: application/json' localhost:3000/task/load \
//!      -d '{"name": "load", "progress": 75, "status": "running", "process_name": "worker1"}'
//! curl 'localhost:3000/task/load?process_name=worker1'
//! ```
//!
//! An address may be named behind `--`, and a folder behind that; else they are `127.0.0.1:3000` and
//! `target/example-service`. The store is that of today's date in UTC. SIGINT and SIGTERM end the service: it answers
//! the requests under way, then closes the store.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use persist_dated::{DatedConfig, DatedStore, ErrorKind};
use persist_test_utils::example_folder;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;

type Store = Arc<DatedStore>;

/// What a client says of a task. The store takes the special fields from it; those left out are `null`.
#[derive(Debug, Serialize, Deserialize)]
struct TaskUpdate {
    name: String,
    progress: u8,
    status: String,
    process_name: Option<String>,
    username: Option<String>,
    timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Which {
    process_name: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let dir = example_folder(args.next(), "service")?;
    let store = Arc::new(DatedStore::open(OffsetDateTime::now_utc(), DatedConfig::new(dir))?);

    let runtime = Runtime::new()?;
    runtime.block_on(serve(&address, Arc::clone(&store)))?;
    // Waits for writes whose clients went away. After that nobody else holds the store.
    drop(runtime);
    Arc::into_inner(store).ok_or("the store is still in use")?.close()?;
    println!("closed");
    Ok(())
}

async fn serve(address: &str, store: Store) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}, storing in {}", listener.local_addr()?, store.dir().display());
    let app = Router::new().route("/task/{id}", put(put_task)).route("/task/{id}", get(get_task)).with_state(store);
    Ok(axum::serve(listener, app).with_graceful_shutdown(asked_to_end()).await?)
}

async fn put_task(
    State(store): State<Store>,
    Path(id): Path<String>,
    body: Result<Json<TaskUpdate>, JsonRejection>,
) -> Response {
    let update = match body {
        Ok(Json(update)) => update,
        Err(rejection) => return refusal(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    // A write waits for the disk, so it has a thread that may wait.
    match spawn_blocking(move || store.store(&id, &update)).await {
        Ok(Ok(record)) => {
            Json(json!({"status": "stored", "task_id": record.key(), "version": record.version()})).into_response()
        }
        Ok(Err(error)) => {
            let status = match error.kind() {
                ErrorKind::Input => StatusCode::BAD_REQUEST,
                ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            refusal(status, &error.to_string())
        }
        Err(panicked) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &panicked.to_string()),
    }
}

/// The record of one process, or a list of those of all processes. Reads come from memory and do not wait.
async fn get_task(State(store): State<Store>, Path(id): Path<String>, Query(which): Query<Which>) -> Response {
    let found = match which.process_name {
        Some(process) => store.get_key_process(&id, Some(&process)).map(|record| record.json().to_owned()),
        None => {
            let records = store.get_key(&id);
            let records: Vec<&str> = records.values().map(|record| record.json()).collect();
            (!records.is_empty()).then(|| format!("[{}]", records.join(",")))
        }
    };
    match found {
        Some(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "there is no such task"),
    }
}

fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({"error": error}))).into_response()
}

#[cfg(unix)]
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => println!("no signals to be had; ending"),
    }
}

#[cfg(not(unix))]
async fn asked_to_end() {
    let _ = tokio::signal::ctrl_c().await;
}
